//! What a run that is under way can be asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a run, for a progress bar. They play no part in results.
#[derive(Debug, Default)]
pub struct Live {
    tokens: AtomicU64,
    in_flight: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
}

impl Live {
    /// Tokens that have come so far; those without text count when their answer ends.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Requests that were sent and have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that have ended, failures included.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Requests that have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// A request is sent; how many are in flight with it.
    pub(super) fn sent(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn token(&self, count: u64) {
        self.tokens.fetch_add(count, Ordering::Relaxed);
    }

    /// A request is no longer in flight.
    pub(super) fn gone(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed_one(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
