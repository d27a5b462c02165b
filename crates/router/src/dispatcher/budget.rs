//! The retry budget: how many requests may be offered to a second scheduler. Pure.
//!
//! A retry helps one request and costs the others: when every scheduler is full, retries
//! multiply the load that filled them. So each retry takes a token from a bucket into
//! which each request puts a fraction of one, as in Finagle's `RetryBudget` and gRPC's
//! retry throttling (proposal A6). In the long run, retries are at most that share of the
//! requests, plus a small number per second, for periods with few requests.

use std::time::{Duration, Instant};

/// One retry. Shares are whole thousandths of it.
const RETRY: u64 = 1000;

/// Retries in a full bucket, with which a router starts: enough for the requests that fail
/// at once when one of a few schedulers disappears.
const RETRIES_SAVED_MAX: u64 = 100;

/// The bucket of retries.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// Retries for every hundred requests.
    share_percent: u32,
    /// Additional retries per second.
    per_second: u32,
    saved: u64,
    filled: Instant,
}

impl RetryBudget {
    /// A full bucket.
    pub(crate) fn new(share_percent: u32, per_second: u32, now: Instant) -> Self {
        Self { share_percent, per_second, saved: RETRIES_SAVED_MAX * RETRY, filled: now }
    }

    /// Adds the share of a new request.
    pub(crate) fn deposit(&mut self) {
        self.add(u64::from(self.share_percent) * RETRY / 100);
    }

    /// Takes one retry. Whether there was one.
    pub(crate) fn withdraw(&mut self, now: Instant) -> bool {
        self.trickle(now);
        let paid = self.saved.checked_sub(RETRY);
        self.saved = paid.unwrap_or(self.saved);
        paid.is_some()
    }

    /// Adds the retries of the time since the last call; fractions of a thousandth wait for
    /// the next one.
    fn trickle(&mut self, now: Instant) {
        let rate = u64::from(self.per_second) * RETRY;
        let waited = now.saturating_duration_since(self.filled);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let earned = micros.saturating_mul(rate) / 1_000_000;
        if earned == 0 {
            return;
        }
        self.add(earned);
        self.filled = self.filled.checked_add(Duration::from_micros(earned * 1_000_000 / rate)).unwrap_or(now);
    }

    fn add(&mut self, thousandths: u64) {
        self.saved = self.saved.saturating_add(thousandths).min(RETRIES_SAVED_MAX * RETRY);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_bucket_allows_retries_at_once_and_refills_by_time_and_requests() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(20, 10, start);
        for _ in 0..RETRIES_SAVED_MAX {
            assert!(budget.withdraw(start));
        }
        assert!(!budget.withdraw(start));
        for _ in 0..5 {
            budget.deposit();
        }
        assert!(budget.withdraw(start), "five requests pay for one retry");
        assert!(!budget.withdraw(start));
        assert!(!budget.withdraw(start + Duration::from_millis(99)));
        assert!(budget.withdraw(start + Duration::from_millis(100)), "a tenth of a second pays for one, too");
    }

    #[test]
    fn a_floor_of_zero_never_refills() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(0, 0, start);
        for _ in 0..RETRIES_SAVED_MAX {
            assert!(budget.withdraw(start));
        }
        budget.deposit();
        assert!(!budget.withdraw(start + Duration::from_secs(3600)));
    }

    proptest! {
        #[test]
        fn retries_never_exceed_share_plus_floor_plus_savings(
            share_percent in 0u32..100, per_second in 0u32..50,
            steps in prop::collection::vec((any::<bool>(), 0u64..500), 0..500),
        ) {
            let start = Instant::now();
            let mut budget = RetryBudget::new(share_percent, per_second, start);
            let (mut now, mut requests, mut retries) = (start, 0_u64, 0_u64);
            for (is_request, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                if is_request {
                    budget.deposit();
                    requests += 1;
                } else {
                    retries += u64::from(budget.withdraw(now));
                }
            }
            let by_time = (now - start).as_secs_f64() * f64::from(per_second);
            let by_requests = requests as f64 * f64::from(share_percent) / 100.0;
            prop_assert!(retries as f64 <= RETRIES_SAVED_MAX as f64 + by_time + by_requests + 0.001);
        }
    }
}
