//! How long a request waits while no scheduler of its model takes it. Pure, except for the
//! random part of the pauses.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use hostler_config::RouterConfig;
use hostler_protocol::{Deadline, ModelId, RequestError};
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use hostler_util::{Attempts, Backoff};

/// The pauses before a request is offered again to schedulers that serve but did not take it:
/// a broken connection is back in milliseconds.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Claims keep its model from being served.
    Claims,
    /// All schedulers of its model are away for a short time.
    Outage,
}

/// The limits of one request's waiting, over all of its attempts.
#[derive(Debug)]
pub(crate) struct Waiting {
    claims_until: Instant,
    outage_wait: Duration,
    /// Set when the first outage is met.
    outage_until: Option<Instant>,
    deadline: Option<Instant>,
    attempts: Attempts,
}

/// Until when to wait now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) until: Instant,
    cause: Cause,
    is_deadline: bool,
}

impl Waiting {
    pub(crate) fn new(config: &RouterConfig, deadline: Option<Deadline>, now: Instant) -> Self {
        Self {
            claims_until: now + config.wait_max,
            outage_wait: config.outage_wait,
            outage_until: None,
            deadline: deadline.map(|deadline| deadline.instant()),
            attempts: BACKOFF.attempts(),
        }
    }

    pub(crate) fn patience(&mut self, cause: Cause, now: Instant) -> Patience {
        let until = match cause {
            Cause::Claims => self.claims_until,
            Cause::Outage => *self.outage_until.get_or_insert(now + self.outage_wait),
        };
        match self.deadline {
            Some(deadline) if deadline <= until => Patience { until: deadline, cause, is_deadline: true },
            _ => Patience { until, cause, is_deadline: false },
        }
    }

    /// The pause before the next attempt.
    pub(crate) fn next_pause(&mut self) -> Duration {
        with_jitter(self.attempts.next_pause())
    }
}

impl Patience {
    /// The error when the wait was in vain; `refusal` is why the request waited.
    pub(crate) fn spent(&self, refusal: RequestError) -> RequestError {
        match (self.is_deadline, self.cause) {
            (false, _) => refusal,
            (true, Cause::Claims) => RequestError::deadline_passed("while a claim held every scheduler of its model"),
            (true, Cause::Outage) => {
                RequestError::deadline_passed(format_args!("while it waited for a scheduler: {}", refusal.message))
            }
        }
    }
}

/// A random time between half of `pause` and all of it, so that requests that failed together
/// do not come back together.
pub(crate) fn with_jitter(pause: Duration) -> Duration {
    // The standard library's hashers have random keys.
    let random = RandomState::new().hash_one(0_u8) >> 32;
    let share = 0.5 + 0.5 * (random as f64 / f64::from(u32::MAX));
    pause.mul_f64(share)
}

/// Whether no scheduler serves the model, and at least one is away for a reason that usually
/// passes in seconds.
pub(crate) fn is_away(snapshots: &[SchedulerSnapshot], model: &ModelId) -> bool {
    let mut is_away = false;
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.model == *model) {
        match snapshot.state {
            SchedulerState::Serving => return false,
            SchedulerState::Starting | SchedulerState::Failed | SchedulerState::Draining => is_away = true,
            SchedulerState::Claimed | SchedulerState::Stopped => {}
        }
    }
    is_away
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(model: &str, state: SchedulerState) -> SchedulerSnapshot {
        SchedulerSnapshot { state, ..SchedulerSnapshot::starting("s".into(), model.into(), 1) }
    }

    #[test]
    fn a_model_is_away_while_none_serves_and_one_may_return() {
        use SchedulerState::{Claimed, Draining, Failed, Serving, Starting, Stopped};
        let model = "m".into();
        let away = |states: &[SchedulerState]| {
            let mut all: Vec<_> = states.iter().map(|&state| snapshot("m", state)).collect();
            all.push(snapshot("other", Serving));
            is_away(&all, &model)
        };
        for state in [Starting, Failed, Draining] {
            assert!(away(&[Claimed, state, Stopped]), "{state:?}");
            assert!(!away(&[state, Serving]), "{state:?}");
        }
        assert!(!away(&[Claimed, Stopped]));
        assert!(!away(&[]));
    }

    #[test]
    fn the_deadline_ends_a_wait_that_would_be_longer() {
        let now = Instant::now();
        let config = RouterConfig::default();
        let deadline = |seconds| Deadline::after(now, Duration::from_secs(seconds));
        let until = |deadline, cause| {
            let patience = Waiting::new(&config, deadline, now).patience(cause, now);
            let error = patience.spent(RequestError::unavailable("away"));
            ((patience.until - now).as_secs(), error.code.as_str())
        };
        assert_eq!(until(None, Cause::Claims), (120, "unavailable"));
        assert_eq!(until(deadline(60), Cause::Claims), (60, "deadline_exceeded"));
        assert_eq!(until(deadline(60), Cause::Outage), (10, "unavailable"));
        assert_eq!(until(deadline(3), Cause::Outage), (3, "deadline_exceeded"));
    }

    #[test]
    fn an_outage_after_a_claim_has_its_own_limit_and_all_outages_together_have_one() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut waiting = Waiting::new(&RouterConfig::default(), None, now);
        assert_eq!(waiting.patience(Cause::Outage, at(90)).until, at(100));
        assert_eq!(waiting.patience(Cause::Claims, at(95)).until, at(120));
        assert_eq!(waiting.patience(Cause::Outage, at(99)).until, at(100));
    }

    #[test]
    fn pauses_grow_and_are_never_short_enough_to_spin() {
        let mut waiting = Waiting::new(&RouterConfig::default(), None, Instant::now());
        for _ in 0..50 {
            let pause = waiting.next_pause();
            assert!((Duration::from_millis(25)..=Duration::from_secs(1)).contains(&pause), "{pause:?}");
        }
        assert!(waiting.next_pause() >= Duration::from_millis(500));
    }
}
