//! Whether a scheduler that keeps failing is left alone for a while. Pure.
//!
//! Only failures of its own count: never what a client did wrong, never a client
//! that left, never a full queue, which is an answer.

use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, RequestError};
use hostler_scheduler::SchedulerState;
use serde::Serialize;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one request tries again.
    pub open: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, open: Duration::from_secs(5) }
    }
}

/// What it does, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests go through.
    Closed,
    /// One request goes through, to see.
    HalfOpen,
    /// None does.
    Open,
}

impl BreakerState {
    /// What the gauge shows.
    pub(crate) const fn as_gauge(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

/// The breaker of one scheduler.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// Somebody tries; another may, when nothing is heard of them until then.
    Trying {
        until: Instant,
    },
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Whether a request may be sent there now.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::Trying { until } => now >= until,
        }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::Trying { .. } => BreakerState::HalfOpen,
        }
    }

    /// A request that it admits is on its way.
    pub(crate) fn dispatched(&mut self, now: Instant) {
        if matches!(self.state, State::Open { .. } | State::Trying { .. }) {
            self.state = State::Trying { until: now + self.config.open };
        }
    }

    /// A token came: after a trial, that is proof enough.
    pub(crate) fn produced(&mut self) {
        if matches!(self.state, State::Trying { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    /// An answer was finished.
    pub(crate) fn succeeded(&mut self) {
        // What was begun before it opened proves nothing of how things are now.
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    /// The scheduler failed.
    pub(crate) fn failed(&mut self, now: Instant) {
        let open = State::Open { until: now + self.config.open };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.config.failures => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } | State::Trying { .. } => open,
            State::Open { until } => State::Open { until },
        };
    }
}

/// Whether an error is the scheduler's own fault, given the last that was seen of its
/// state. One that starts, drains or is claimed refuses as it should, and what it evicts
/// ends with `Unavailable` too. It says so itself, because what is seen of one in another
/// process is older than its answer.
pub(crate) fn is_own_failure(error: &RequestError, state: SchedulerState) -> bool {
    match error.code {
        ErrorCode::EngineFailed => true,
        ErrorCode::Unavailable => {
            !error.is_expected && matches!(state, SchedulerState::Serving | SchedulerState::Failed)
        }
        ErrorCode::InvalidRequest
        | ErrorCode::Unauthenticated
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::RequestTooLarge
        | ErrorCode::Overloaded
        | ErrorCode::Cancelled
        | ErrorCode::Internal
        | ErrorCode::DeadlineExceeded => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerConfig { failures: 3, open: OPEN }), Instant::now())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_between_starts_the_count_anew() {
        let (mut breaker, now) = breaker();
        breaker.failed(now);
        breaker.failed(now);
        breaker.succeeded();
        breaker.failed(now);
        breaker.failed(now);
        assert!(breaker.admits(now));
        breaker.failed(now);
        assert!(!breaker.admits(now));
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    #[test]
    fn one_request_tries_again_and_closes_it_or_opens_it_anew() {
        let (mut breaker, start) = breaker();
        (0..3).for_each(|_| breaker.failed(start));
        let later = start + OPEN;
        assert!(breaker.admits(later));
        breaker.dispatched(later);
        assert!(!breaker.admits(later), "one is enough");
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.failed(later);
        assert!(!breaker.admits(later));
        breaker.dispatched(later + OPEN);
        breaker.produced();
        assert!(breaker.admits(later + OPEN));
    }

    #[test]
    fn a_trial_of_which_nothing_is_heard_does_not_bar_it_for_ever() {
        let (mut breaker, start) = breaker();
        (0..3).for_each(|_| breaker.failed(start));
        breaker.dispatched(start + OPEN);
        assert!(!breaker.admits(start + OPEN * 2 - Duration::from_millis(1)));
        assert!(breaker.admits(start + OPEN * 2));
    }

    #[test]
    fn only_failures_of_its_own_count() {
        for state in SchedulerState::ALL {
            for code in ErrorCode::ALL {
                let expected = match code {
                    ErrorCode::EngineFailed => true,
                    ErrorCode::Unavailable => matches!(state, SchedulerState::Serving | SchedulerState::Failed),
                    _ => false,
                };
                let error = RequestError::new(code, "a test");
                assert_eq!(is_own_failure(&error, state), expected, "{code:?} while {state:?}");
                let orderly = is_own_failure(&error.expected(), state);
                assert_eq!(orderly, code == ErrorCode::EngineFailed, "{code:?}, orderly, while {state:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_for_longer_than_it_says(steps in prop::collection::vec((0u8..4, 0u64..8_000), 0..60)) {
            let (mut breaker, mut now) = breaker();
            for (what, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                match what {
                    0 if breaker.admits(now) => breaker.dispatched(now),
                    0 => {}
                    1 => breaker.failed(now),
                    2 => breaker.succeeded(),
                    _ => breaker.produced(),
                }
                prop_assert!(breaker.admits(now + OPEN));
            }
        }
    }
}
