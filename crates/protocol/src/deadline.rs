//! The deadline of a request.

use std::time::{Duration, Instant};

/// The instant after which the answer is no longer wanted.
///
/// An [`Instant`] has no meaning in another process: send [`Deadline::remaining`]
/// and rebuild the deadline there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `timeout` after `now`; `None` if the sum is out of range, which is
    /// equivalent to no deadline.
    #[must_use]
    pub fn after(now: Instant, timeout: Duration) -> Option<Self> {
        now.checked_add(timeout).map(Self)
    }

    /// Whether it has passed at `now`.
    #[must_use]
    pub fn has_passed(self, now: Instant) -> bool {
        now >= self.0
    }

    /// The time left at `now`; zero once it has passed.
    #[must_use]
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// The instant itself, for timers.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }
}
