//! Exponential back-off. It is pure: it neither sleeps nor reads a clock.

use std::time::Duration;

/// Pauses between attempts: each is twice as long as the one before, up to a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Starts with `first` and doubles up to `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }

    /// The pause after `failures` failed attempts, of which the first has pause number 0.
    #[must_use]
    pub fn pause(&self, number: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(number)).min(self.max)
    }

    /// Counts attempts from here on.
    #[must_use]
    pub const fn attempts(self) -> Attempts {
        Attempts { backoff: self, failures: 0 }
    }
}

/// Failed attempts in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    backoff: Backoff,
    failures: u32,
}

impl Attempts {
    /// Counts a failure, and returns the pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// The pause that [`next_pause`](Self::next_pause) would return.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.backoff.pause(self.failures)
    }

    /// An attempt succeeded: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

    #[test]
    fn pauses_double_up_to_the_maximum_and_start_again_after_a_success() {
        let mut attempts = BACKOFF.attempts();
        let pauses: Vec<_> = (0..7).map(|_| attempts.next_pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        attempts.reset();
        assert_eq!(attempts.pause(), Duration::from_millis(50));
    }

    #[test]
    fn any_number_of_failures_is_allowed() {
        assert_eq!(BACKOFF.pause(u32::MAX), Duration::from_secs(1));
        assert_eq!(Backoff::new(Duration::ZERO, Duration::from_secs(1)).pause(u32::MAX), Duration::ZERO);
        assert_eq!(Backoff::new(Duration::from_secs(3), Duration::from_secs(1)).pause(0), Duration::from_secs(1));
    }
}
