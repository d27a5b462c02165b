//! How fast the engine serves, measured: what every estimate of a wait stands on.

use std::time::{Duration, Instant};

use super::demand::work;
use super::queue::Load;

/// Time over which measurements fade, in seconds of full load. Ten seconds are
/// some requests long, and short against a change in what clients ask.
const FADE_SECONDS: f64 = 10.0;

/// Full load that must have been seen before the rate is believed, in seconds.
const EVIDENCE_SECONDS: f64 = 0.25;

/// The service rate under full load, and how much of what requests reserve for
/// their answers they use.
///
/// Both are quotients of sums that fade exponentially: a long measurement weighs
/// more than a short one, and no sample can be divided by nearly nothing.
#[derive(Debug)]
pub(super) struct ServiceRate {
    /// Faded work, and faded seconds of full load in which it was done.
    work: f64,
    seconds: f64,
    /// Faded answer tokens, and how many had been reserved for them.
    answered: f64,
    reserved: f64,
    last: Option<(Instant, u64)>,
}

impl Default for ServiceRate {
    fn default() -> Self {
        // One imaginary token that used all that it reserved: until something has
        // ended, requests are taken at their word.
        Self { work: 0.0, seconds: 0.0, answered: 1.0, reserved: 1.0, last: None }
    }
}

impl ServiceRate {
    /// Up to `now` the engine has done `work_done` in all (it only grows).
    /// `full_load` says whether all slots were in use, or someone waited, since
    /// the last call: an idle engine says nothing of what it can do.
    pub(super) fn observe(&mut self, now: Instant, work_done: u64, full_load: bool) {
        let (before, work_before) = self.last.replace((now, work_done)).unwrap_or((now, work_done));
        if !full_load {
            return;
        }
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        let keep = (-seconds / FADE_SECONDS).exp();
        self.work = self.work * keep + work_done.saturating_sub(work_before) as f64;
        self.seconds = self.seconds * keep + seconds;
    }

    /// A request ended after so many tokens, of at most `answer_tokens_max`.
    pub(super) fn ended(&mut self, answer_tokens: u32, answer_tokens_max: u32) {
        // Fades over some tens of requests, whatever their length.
        const KEEP: f64 = 0.95;
        self.answered = self.answered * KEEP + f64::from(answer_tokens);
        self.reserved = self.reserved * KEEP + f64::from(answer_tokens_max);
    }

    /// Work a second under full load; `None` until it was seen for long enough.
    #[must_use]
    pub(super) fn work_per_second(&self) -> Option<f64> {
        (self.seconds >= EVIDENCE_SECONDS && self.work > 0.0).then(|| self.work / self.seconds)
    }

    /// Work that may be expected of requests that reserve so much.
    #[must_use]
    pub(super) fn expected(&self, prompt_tokens: u64, answer_tokens_max: u64) -> f64 {
        let answer = answer_tokens_max as f64 * (self.answered / self.reserved);
        prompt_tokens as f64 * work(1, 0) as f64 + answer * work(0, 1) as f64
    }

    /// [`expected`](Self::expected), of what waits in a class.
    #[must_use]
    pub(super) fn expected_of(&self, load: Load) -> f64 {
        self.expected(load.prompt_tokens, load.answer_tokens_max)
    }

    /// How much of the work that a class reserves is expected to be done; 1 at most.
    #[must_use]
    pub(super) fn expected_share(&self, load: Load) -> f64 {
        let reserved = load.prompt_tokens * work(1, 0) + load.answer_tokens_max * work(0, 1);
        if reserved == 0 { 1.0 } else { self.expected_of(load) / reserved as f64 }
    }

    /// The time that so much work takes under full load; `None` while that is unknown.
    #[must_use]
    pub(super) fn time_for(&self, work: f64) -> Option<Duration> {
        let seconds = work / self.work_per_second()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
