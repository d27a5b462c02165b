//! The circuit breaker: stops requests to a scheduler that keeps failing. Pure.
//!
//! Only the scheduler's own failures count: not a client's error, not a client that
//! disconnects, not a full queue. All requests that were under way when it failed count as one
//! failure: an engine that crashes ends them all at once.

use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, RequestError};
use hostler_scheduler::SchedulerState;
use serde::Serialize;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// One trial request passes.
    HalfOpen,
    /// No request passes.
    Open,
}

impl BreakerState {
    /// The value of the gauge.
    pub(crate) const fn as_gauge(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

/// The circuit breaker of one scheduler.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// Consecutive failures that open it.
    failures_max: u32,
    /// How long it stays open before one request tries the scheduler again.
    open: Duration,
    circuit: Circuit,
    /// When the last failure was counted.
    failed: Option<Instant>,
    /// The recent share of failures, in thousandths: an exponential moving average.
    failing: u32,
}

/// How much of the average one result is: the last eight or so count.
const RESULT_WEIGHT: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Circuit {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A trial request is under way. If nothing is heard of it by `until`, another may try.
    Trial {
        until: Instant,
    },
}

impl Breaker {
    pub(crate) fn new(failures_max: u32, open: Duration) -> Self {
        Self { failures_max, open, circuit: Circuit::Closed { failures: 0 }, failed: None, failing: 0 }
    }

    /// Whether a request may be sent to the scheduler now.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        match self.circuit {
            Circuit::Closed { .. } => true,
            Circuit::Open { until } | Circuit::Trial { until } => now >= until,
        }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match self.circuit {
            Circuit::Closed { .. } => BreakerState::Closed,
            Circuit::Open { until } if now < until => BreakerState::Open,
            Circuit::Open { .. } | Circuit::Trial { .. } => BreakerState::HalfOpen,
        }
    }

    /// A request was sent: while the breaker is open, as a trial.
    pub(crate) fn dispatched(&mut self, now: Instant) {
        if matches!(self.circuit, Circuit::Open { .. } | Circuit::Trial { .. }) {
            self.circuit = Circuit::Trial { until: now + self.open };
        }
    }

    /// A first token came: after a trial, enough to close the breaker.
    pub(crate) fn produced(&mut self) {
        if matches!(self.circuit, Circuit::Trial { .. }) {
            self.circuit = Circuit::Closed { failures: 0 };
        }
    }

    /// The recent share of failures, in thousandths: of several schedulers whose breakers are
    /// open, the one with the least is tried.
    pub(crate) fn failing(&self) -> u32 {
        self.failing
    }

    /// An answer finished.
    pub(crate) fn succeeded(&mut self) {
        self.failing -= self.failing / RESULT_WEIGHT;
        // The answer began before the breaker opened, so it says nothing about the scheduler now.
        if !matches!(self.circuit, Circuit::Open { .. }) {
            self.circuit = Circuit::Closed { failures: 0 };
        }
    }

    /// The scheduler failed a request that was sent to it at `sent`.
    pub(crate) fn failed(&mut self, sent: Instant, now: Instant) {
        // It was under way at the last failure, and is a part of that.
        if self.failed.is_some_and(|failed| sent <= failed) {
            return;
        }
        self.failed = Some(now);
        self.failing += (1000 - self.failing) / RESULT_WEIGHT;
        let open = Circuit::Open { until: now + self.open };
        self.circuit = match self.circuit {
            Circuit::Closed { failures } if failures + 1 < self.failures_max => {
                Circuit::Closed { failures: failures + 1 }
            }
            Circuit::Closed { .. } | Circuit::Trial { .. } => open,
            Circuit::Open { until } => Circuit::Open { until },
        };
    }
}

/// Whether an error is a failure of the scheduler, which was last seen in `state`. A
/// scheduler that is starting, draining or claimed answers `Unavailable` in order, also
/// to the requests that it evicts. It marks such an error as orderly, because the state
/// that is seen of a scheduler in another process is older than its answer.
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
        (Breaker::new(3, OPEN), Instant::now())
    }

    /// Fails `count` requests, each sent after the last one failed. Returns the time of the end.
    fn fail_in_turn(breaker: &mut Breaker, mut now: Instant, count: u32) -> Instant {
        for _ in 0..count {
            now += Duration::from_millis(1);
            breaker.failed(now, now);
        }
        now
    }

    #[test]
    fn requests_that_one_crash_ends_together_count_once() {
        let (mut breaker, start) = breaker();
        let crash = start + Duration::from_secs(1);
        for n in 0..28 {
            breaker.failed(start + Duration::from_millis(n), crash + Duration::from_millis(n));
        }
        assert_eq!(breaker.state(crash), BreakerState::Closed);
        fail_in_turn(&mut breaker, crash, 2);
        assert_eq!(breaker.state(crash), BreakerState::Open, "two more are three");
    }

    #[test]
    fn the_share_of_failures_rises_and_falls() {
        let (mut breaker, start) = breaker();
        fail_in_turn(&mut breaker, start, 20);
        let bad = breaker.failing();
        assert!((900..=1000).contains(&bad), "{bad}");
        breaker.succeeded();
        assert!(breaker.failing() < bad);
        (0..50).for_each(|_| breaker.succeeded());
        assert!(breaker.failing() < 10, "{}", breaker.failing());
    }

    #[test]
    fn it_opens_after_consecutive_failures_and_a_success_resets_the_count() {
        let (mut breaker, now) = breaker();
        let now = fail_in_turn(&mut breaker, now, 2);
        breaker.succeeded();
        let now = fail_in_turn(&mut breaker, now, 2);
        assert!(breaker.admits(now));
        let now = fail_in_turn(&mut breaker, now, 1);
        assert!(!breaker.admits(now));
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    #[test]
    fn a_trial_request_closes_it_or_opens_it_again() {
        let (mut breaker, start) = breaker();
        let start = fail_in_turn(&mut breaker, start, 3);
        let later = start + OPEN;
        assert!(breaker.admits(later));
        breaker.dispatched(later);
        assert!(!breaker.admits(later), "only one trial at a time");
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.failed(start, later);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen, "that one was under way before");
        breaker.failed(later, later);
        assert!(!breaker.admits(later));
        breaker.dispatched(later + OPEN);
        breaker.produced();
        assert!(breaker.admits(later + OPEN));
    }

    #[test]
    fn a_trial_without_a_result_does_not_keep_it_open_for_ever() {
        let (mut breaker, start) = breaker();
        let start = fail_in_turn(&mut breaker, start, 3);
        breaker.dispatched(start + OPEN);
        assert!(!breaker.admits(start + OPEN * 2 - Duration::from_millis(1)));
        assert!(breaker.admits(start + OPEN * 2));
    }

    #[test]
    fn only_the_schedulers_own_failures_count() {
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
        fn it_never_stays_open_longer_than_configured(steps in prop::collection::vec((0u8..4, 0u64..8_000), 0..60)) {
            let (mut breaker, mut now) = breaker();
            for (what, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                match what {
                    0 if breaker.admits(now) => breaker.dispatched(now),
                    0 => {}
                    1 => breaker.failed(now, now),
                    2 => breaker.succeeded(),
                    _ => breaker.produced(),
                }
                prop_assert!(breaker.admits(now + OPEN));
            }
        }
    }
}
