//! Retry reservations: `Retry-After` as a promise.
//!
//! Under sustained overload, a client that retries at an arbitrary time finds the queue
//! as full as before, unless a place was kept for it. So each refusal reserves a retry:
//! the retry times that are given out follow each other at the pace at which the engine
//! serves (slightly slower, so that new requests are not shut out), and the end of the
//! queue is kept for requests that return at their time. A returning request is
//! recognised by its fingerprint. An unused reservation costs nothing: it reserves the
//! right to enter the queue, not engine time.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Share of the service rate that is given out as reservations.
const SHARE: f64 = 0.8;

/// How long a reservation stays valid after its time: clients round up to whole seconds,
/// and some add jitter.
const GRACE: Duration = Duration::from_secs(15);

/// The longest retry time that is given out. A request that gets this limit has no
/// reservation.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Maximum reservations; beyond it the oldest are dropped. Less than 2 MiB.
const RESERVATIONS_MAX: usize = 16 * 1024;

/// The open reservations.
#[derive(Debug, Default)]
pub(super) struct RetryReservations {
    /// The latest time that was given out.
    last: Option<Instant>,
    /// All of them, ordered by time.
    by_time: VecDeque<(Instant, u64)>,
    /// The unused ones of each fingerprint, ordered by time.
    by_fingerprint: HashMap<u64, VecDeque<Instant>>,
}

impl RetryReservations {
    /// Reserves a retry for a request that takes `service` to serve, not before
    /// `earliest`. Returns the time until the retry.
    pub(super) fn reserve(
        &mut self,
        now: Instant,
        earliest: Duration,
        service: Duration,
        fingerprint: u64,
    ) -> Duration {
        self.expire(now);
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

    /// Uses the request's reservation. False if it has none or returns before its time.
    pub(super) fn redeem(&mut self, now: Instant, fingerprint: u64) -> bool {
        self.expire(now);
        let is_due = self.by_fingerprint.get(&fingerprint).and_then(VecDeque::front).is_some_and(|&time| time <= now);
        if is_due {
            self.remove_first(fingerprint);
        }
        is_due
    }

    /// Whether there are no open reservations.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.by_fingerprint.is_empty()
    }

    /// Drops the reservations that are past their grace period or above the limit.
    fn expire(&mut self, now: Instant) {
        while let Some(&(time, fingerprint)) = self.by_time.front() {
            let past = now.saturating_duration_since(time) > GRACE;
            if !past && self.by_time.len() < RESERVATIONS_MAX {
                break;
            }
            self.by_time.pop_front();
            // If it was redeemed, the first one of its fingerprint is a later one.
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
