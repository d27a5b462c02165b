//! The measured service rate of the engine, on which all estimated waits are based.

use std::time::{Duration, Instant};

use super::queue::Load;
use super::work;

/// The time constant with which measurements decay, in seconds of full load. Ten seconds
/// are several requests long and short compared to changes in the traffic.
const DECAY_SECONDS: f64 = 10.0;

/// Seconds of full load that must be observed before the rate is used.
const OBSERVED_SECONDS_MIN: f64 = 0.25;

/// The service rate under full load, and the share of their reserved answer tokens that
/// requests use.
///
/// Both are quotients of exponentially decaying sums, so a long measurement counts more
/// than a short one, and no sample is divided by a value near zero.
#[derive(Debug)]
pub(super) struct ServiceRate {
    /// Decayed work, and the decayed seconds of full load in which it was done.
    work: f64,
    seconds: f64,
    /// Decayed answer tokens, generated and reserved.
    answered: f64,
    reserved: f64,
    last: Option<(Instant, u64)>,
}

impl Default for ServiceRate {
    fn default() -> Self {
        // Until a request has ended, requests are expected to use all that they reserve.
        Self { work: 0.0, seconds: 0.0, answered: 1.0, reserved: 1.0, last: None }
    }
}

impl ServiceRate {
    /// Records the engine's total work up to `now`. `full_load` says whether all slots
    /// were in use or requests were queued since the last call: an idle engine does not
    /// show its capacity.
    pub(super) fn observe(&mut self, now: Instant, work_done: u64, full_load: bool) {
        let (before, work_before) = self.last.replace((now, work_done)).unwrap_or((now, work_done));
        if !full_load {
            return;
        }
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        let keep = (-seconds / DECAY_SECONDS).exp();
        self.work = self.work * keep + work_done.saturating_sub(work_before) as f64;
        self.seconds = self.seconds * keep + seconds;
    }

    /// Records the end of a request that reserved `answer_tokens_max`.
    pub(super) fn ended(&mut self, answer_tokens: u32, answer_tokens_max: u32) {
        // Decays over some tens of requests, whatever their length.
        const KEEP: f64 = 0.95;
        self.answered = self.answered * KEEP + f64::from(answer_tokens);
        self.reserved = self.reserved * KEEP + f64::from(answer_tokens_max);
    }

    /// Work per second under full load; `None` until enough was observed.
    #[must_use]
    pub(super) fn work_per_second(&self) -> Option<f64> {
        (self.seconds >= OBSERVED_SECONDS_MIN && self.work > 0.0).then(|| self.work / self.seconds)
    }

    /// The expected work of requests that reserve this many tokens.
    #[must_use]
    pub(super) fn expected(&self, prompt_tokens: u64, answer_tokens_max: u64) -> f64 {
        let answer = answer_tokens_max as f64 * (self.answered / self.reserved);
        prompt_tokens as f64 * work(1, 0) as f64 + answer * work(0, 1) as f64
    }

    /// The [`expected`](Self::expected) work of what is queued in a class.
    #[must_use]
    pub(super) fn expected_of(&self, load: Load) -> f64 {
        self.expected(load.prompt_tokens, load.answer_tokens_max)
    }

    /// The expected share of the work that a class reserves; at most 1.
    #[must_use]
    pub(super) fn expected_share(&self, load: Load) -> f64 {
        let reserved = load.prompt_tokens * work(1, 0) + load.answer_tokens_max * work(0, 1);
        if reserved == 0 { 1.0 } else { self.expected_of(load) / reserved as f64 }
    }

    /// The time that this much work takes under full load; `None` if the rate is unknown.
    #[must_use]
    pub(super) fn time_for(&self, work: f64) -> Option<Duration> {
        let seconds = work / self.work_per_second()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
