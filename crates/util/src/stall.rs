//! How long something has lasted, for watchdogs. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// A limit is measured in at least so many checks. If this process itself was stopped or
/// starved, one part of the limit has passed when it resumes, rather than all of it.
pub const CHECKS_PER_LIMIT: u32 = 4;

/// How long something has lasted, as seen by regular checks.
#[derive(Debug)]
pub struct Stall {
    limit: Duration,
    lasted: Duration,
    checked: Instant,
}

impl Stall {
    /// Begins at `now`.
    #[must_use]
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, lasted: Duration::ZERO, checked: now }
    }

    /// Adds the time since the last check, or starts again. Returns the sum.
    pub fn check(&mut self, now: Instant, goes_on: bool) -> Duration {
        let passed = now.saturating_duration_since(self.checked).min(self.limit / CHECKS_PER_LIMIT);
        self.checked = now;
        self.lasted = if goes_on { self.lasted + passed } else { Duration::ZERO };
        self.lasted
    }

    /// Whether the limit has been reached.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lasted >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_after_so_many_checks_and_a_pause_counts_as_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut stall = Stall::new(Duration::from_secs(8), start);
        assert_eq!(stall.check(at(1), true), Duration::from_secs(1));
        assert_eq!(stall.check(at(2), false), Duration::ZERO, "it went on");
        // This process was stopped for an hour.
        assert_eq!(stall.check(at(3600), true), Duration::from_secs(2));
        assert!(!stall.is_over());
        for second in 3601..=3606 {
            stall.check(at(second), true);
        }
        assert!(stall.is_over());
    }
}
