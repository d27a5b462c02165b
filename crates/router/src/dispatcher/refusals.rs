//! Whether a refused request is offered to another scheduler. Pure.

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError, Retry, SchedulerId};
use hostler_scheduler::Abilities;

/// The refusals of one request.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    schedulers: Vec<SchedulerId>,
    best: Option<RequestError>,
    /// What the most capable of those can do that refused the request as too long.
    too_short: Option<Abilities>,
}

/// What to do after a refusal.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Ask for another scheduler.
    TryAnother,
    /// Tell the client.
    GiveUp(RequestError),
}

impl Refusals {
    /// Excludes a scheduler that has just failed the request.
    pub(crate) fn after(scheduler: SchedulerId) -> Self {
        Self { schedulers: vec![scheduler], ..Self::default() }
    }

    /// The schedulers that must not be asked again.
    pub(crate) fn schedulers(&self) -> &[SchedulerId] {
        &self.schedulers
    }

    /// A scheduler refused the request as too long, and others of its model have longer
    /// sequences. Each such refusal excludes more of them, so their number is bounded.
    pub(crate) fn too_long_for(&mut self, abilities: Abilities) {
        self.too_short = Some(abilities);
    }

    /// What a scheduler can do that refused the request as too long.
    pub(crate) fn too_short(&self) -> Option<Abilities> {
        self.too_short
    }

    /// Records a refusal.
    pub(crate) fn record(&mut self, scheduler: SchedulerId, error: RequestError, attempts_max: u32) -> Next {
        if error.code.retry() == Retry::Never {
            return Next::GiveUp(error);
        }
        self.schedulers.push(scheduler);
        let best = match self.best.take() {
            Some(best) if rank(&best) <= rank(&error) => best,
            _ => error,
        };
        if self.schedulers.len() < attempts_max as usize {
            self.best = Some(best);
            return Next::TryAnother;
        }
        Next::GiveUp(best)
    }

    /// No scheduler is left to ask: returns the best refusal, or `error` if there was none.
    pub(crate) fn exhausted(&mut self, error: RequestError) -> RequestError {
        self.best.take().unwrap_or(error)
    }
}

/// Lower is more useful to the client: first a full queue, which says when to retry, the
/// shortest time first; then everything else.
fn rank(error: &RequestError) -> (bool, Option<Duration>) {
    (error.code != ErrorCode::Overloaded, error.retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overloaded(seconds: u64) -> RequestError {
        RequestError::new(ErrorCode::Overloaded, "full").with_retry_after(Duration::from_secs(seconds))
    }

    #[test]
    fn an_invalid_request_is_not_offered_to_another_scheduler() {
        let mut refusals = Refusals::default();
        let error = RequestError::invalid("top_p", "no");
        assert_eq!(refusals.record("s".into(), error.clone(), 3), Next::GiveUp(error));
    }

    #[test]
    fn attempts_are_bounded_and_the_shortest_retry_time_is_reported() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.record("a".into(), overloaded(9), 3), Next::TryAnother);
        let unavailable = RequestError::new(ErrorCode::Unavailable, "draining");
        assert_eq!(refusals.record("b".into(), unavailable, 3), Next::TryAnother);
        assert_eq!(refusals.record("c".into(), overloaded(4), 3), Next::GiveUp(overloaded(4)));
        assert_eq!(refusals.schedulers(), ["a".into(), "b".into(), "c".into()]);
    }

    #[test]
    fn when_no_scheduler_is_left_a_refusal_counts_more_than_their_absence() {
        let absent = RequestError::new(ErrorCode::Unavailable, "no scheduler");
        assert_eq!(Refusals::default().exhausted(absent.clone()), absent);
        let mut refusals = Refusals::default();
        refusals.record("a".into(), overloaded(2), 3);
        assert_eq!(refusals.exhausted(absent), overloaded(2));
    }
}
