//! Retry-After as a promise.
//!
//! Under lasting overload, a client that comes back "later" meets a queue as full
//! as before, unless a place was kept for it. So a refusal is an appointment:
//! the times that are given out follow each other at the pace at which the engine
//! serves (a little slower, so that newcomers are not shut out), and the end of
//! the queue is kept for those who come back when told. A client is known again
//! by its request. An appointment that nobody keeps costs nothing: it reserves a
//! right to enter, not time of the engine.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Share of the service rate that is given out as appointments.
const SHARE: f64 = 0.8;

/// How long after its time an appointment may be kept: clients round up to
/// seconds, and some add jitter.
const GRACE: Duration = Duration::from_secs(15);

/// The longest time that is given out. Beyond it the answer is no promise.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Most appointments that are remembered; the oldest are forgotten. Under 2 MiB.
const APPOINTMENTS_MAX: usize = 16 * 1024;

/// The appointments that were given out.
#[derive(Debug, Default)]
pub(super) struct Appointments {
    /// The last time that was given out.
    last: Option<Instant>,
    /// By time, which only grows.
    by_time: VecDeque<(Instant, u64)>,
    /// Those of equal requests by time as well.
    by_fingerprint: HashMap<u64, VecDeque<Instant>>,
}

impl Appointments {
    /// Gives out an appointment, not before `earliest`; serving the request takes
    /// `service`. Returns how long to stay away.
    pub(super) fn book(&mut self, now: Instant, earliest: Duration, service: Duration, fingerprint: u64) -> Duration {
        self.forget(now);
        let after_last = self.last.map_or(now, |last| last + service.div_f64(SHARE));
        let time = after_last.max(now + earliest);
        if time.saturating_duration_since(now) > RETRY_AFTER_MAX {
            return RETRY_AFTER_MAX;
        }
        self.last = Some(time);
        self.by_time.push_back((time, fingerprint));
        self.by_fingerprint.entry(fingerprint).or_default().push_back(time);
        time.saturating_duration_since(now)
    }

    /// Whether this request has an appointment and its time has come. It is then used.
    pub(super) fn redeem(&mut self, now: Instant, fingerprint: u64) -> bool {
        self.forget(now);
        let come = self.by_fingerprint.get(&fingerprint).and_then(VecDeque::front).is_some_and(|&time| time <= now);
        if come {
            self.remove_first(fingerprint);
        }
        come
    }

    /// Whether nobody is expected.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.by_fingerprint.is_empty()
    }

    /// Forgets what is past its grace, or one too many.
    fn forget(&mut self, now: Instant) {
        while let Some(&(time, fingerprint)) = self.by_time.front() {
            let past = now.saturating_duration_since(time) > GRACE;
            if !past && self.by_time.len() < APPOINTMENTS_MAX {
                break;
            }
            self.by_time.pop_front();
            // One that was redeemed is gone already, and the next of its kind is later.
            if self.by_fingerprint.get(&fingerprint).and_then(VecDeque::front) == Some(&time) {
                self.remove_first(fingerprint);
            }
        }
    }

    fn remove_first(&mut self, fingerprint: u64) {
        if let Entry::Occupied(mut times) = self.by_fingerprint.entry(fingerprint) {
            times.get_mut().pop_front();
            if times.get().is_empty() {
                times.remove();
            }
        }
    }
}
