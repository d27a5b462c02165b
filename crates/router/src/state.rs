//! The router's decision: a pure function of what is known of the schedulers.

use hostler_protocol::{ErrorCode, FencingToken, ModelId, RequestError, SchedulerId};
use hostler_scheduler::SchedulerState;
use std::time::Duration;

use crate::policy::{Candidate, Policy, choose};

/// When to come back while a model is loading or every scheduler of it drains.
/// Nothing is known of how long that takes; a second is short for a person and
/// long for a machine.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is known of one scheduler at the moment of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Its name.
    pub(crate) id: SchedulerId,
    /// The model that it serves.
    pub(crate) model: ModelId,
    /// What it does.
    pub(crate) state: SchedulerState,
    /// Tokens that it has still to read and generate.
    pub(crate) work_tokens: u64,
    /// The claim that is on it.
    pub(crate) claim: Option<FencingToken>,
    /// Most sequences that it runs at once.
    pub(crate) batch_size_max: u32,
}

/// What a request needs of a scheduler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The model that shall answer.
    pub(crate) model: &'a ModelId,
    /// The claim under which the request comes: only the scheduler that it is on will do.
    pub(crate) claim: Option<FencingToken>,
    /// Schedulers that have said no to this request already.
    pub(crate) refused: &'a [SchedulerId],
}

/// Chooses a scheduler: the index in `views`. `last` is the choice before this one.
///
/// # Errors
/// `NotFound` if nobody serves the model, `Unavailable` if nobody does now.
pub(crate) fn route(
    policy: Policy,
    views: &[View],
    wanted: Wanted<'_>,
    last: Option<usize>,
) -> Result<usize, RequestError> {
    let Wanted { model, claim, refused } = wanted;
    let of_model = || views.iter().enumerate().filter(|(_, view)| view.model == *model);
    let candidates: Vec<Candidate> = of_model()
        .filter(|(_, view)| view.takes(claim) && !refused.contains(&view.id))
        .map(|(slot, view)| Candidate {
            slot,
            work_tokens: view.work_tokens,
            batch_size_max: view.batch_size_max.max(1),
        })
        .collect();
    match choose(policy, &candidates, last) {
        Some(index) => Ok(candidates[index].slot),
        None if of_model().next().is_none() => Err(unknown_model(views, model)),
        None if claim.is_some() => Err(claim_ended()),
        None => Err(nobody_serves(model, of_model().map(|(_, view)| view))),
    }
}

impl View {
    /// Whether it takes requests that come under this claim, or under none.
    fn takes(&self, claim: Option<FencingToken>) -> bool {
        match claim {
            None => self.state == SchedulerState::Serving,
            Some(_) => self.state == SchedulerState::Claimed && self.claim == claim,
        }
    }
}

/// Nobody is held under the claim that the request carries.
fn claim_ended() -> RequestError {
    RequestError::new(ErrorCode::Unavailable, "no scheduler is held under the claim of this request: it has ended")
}

/// Nobody has such a model: says which there are.
fn unknown_model(views: &[View], model: &ModelId) -> RequestError {
    let mut known: Vec<&str> = views.iter().map(|view| view.model.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    RequestError {
        param: Some("model".into()),
        ..RequestError::new(
            ErrorCode::NotFound,
            format!("there is no model {:?} here; served are: {}", model.as_str(), known.join(", ")),
        )
    }
}

/// The model is known, but nobody takes requests: says what they all do.
fn nobody_serves<'a>(model: &ModelId, views: impl Iterator<Item = &'a View>) -> RequestError {
    let states: Vec<String> = views.map(|view| format!("{} is {}", view.id, view.state.as_str())).collect();
    RequestError::new(
        ErrorCode::Unavailable,
        format!("no scheduler of model {:?} takes requests now: {}", model.as_str(), states.join(", ")),
    )
    .with_retry_after(UNAVAILABLE_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn view(id: &str, model: &str, state: SchedulerState, work_tokens: u64) -> View {
        View { id: id.into(), model: model.into(), state, work_tokens, claim: None, batch_size_max: 8 }
    }

    fn wanted<'a>(model: &'a ModelId, refused: &'a [SchedulerId]) -> Wanted<'a> {
        Wanted { model, claim: None, refused }
    }

    #[test]
    fn only_serving_schedulers_of_the_model_that_have_not_refused_are_chosen() {
        let views = [
            view("other", "b", SchedulerState::Serving, 0),
            view("busy", "a", SchedulerState::Serving, 90),
            view("draining", "a", SchedulerState::Draining, 0),
            view("idle", "a", SchedulerState::Serving, 10),
        ];
        let model = "a".into();
        let route = |refused: &[SchedulerId]| route(Policy::LeastLoaded, &views, wanted(&model, refused), None);
        assert_eq!(route(&[]).expect("somebody serves"), 3);
        assert_eq!(route(&["idle".into()]).expect("somebody serves"), 1);
        let nobody = route(&["idle".into(), "busy".into()]).expect_err("both refused");
        assert_eq!(nobody.code, ErrorCode::Unavailable);
    }

    #[test]
    fn a_request_under_a_claim_goes_where_the_claim_is_and_nowhere_else() {
        let (held, ended) = (Some(FencingToken(7)), Some(FencingToken(6)));
        let mut views =
            [view("free", "a", SchedulerState::Serving, 0), view("claimed", "a", SchedulerState::Claimed, 9)];
        views[1].claim = held;
        let model = "a".into();
        let route = |claim| route(Policy::LeastLoaded, &views, Wanted { model: &model, claim, refused: &[] }, None);
        assert_eq!(route(held), Ok(1));
        assert_eq!(route(None), Ok(0));
        assert_eq!(route(ended).expect_err("it has ended").code, ErrorCode::Unavailable);
    }

    #[test]
    fn an_unknown_model_is_told_which_there_are() {
        let views = [view("s", "b", SchedulerState::Serving, 0), view("t", "a", SchedulerState::Failed, 0)];
        let error = route(Policy::RoundRobin, &views, wanted(&"c".into(), &[]), None).expect_err("there is no c");
        assert_eq!(error.code, ErrorCode::NotFound);
        assert!(error.message.ends_with("served are: a, b"), "{}", error.message);
        assert_eq!(error.param.as_deref(), Some("model"));
    }

    #[rstest]
    #[case(SchedulerState::Starting)]
    #[case(SchedulerState::Draining)]
    #[case(SchedulerState::Claimed)]
    #[case(SchedulerState::Failed)]
    #[case(SchedulerState::Stopped)]
    fn a_scheduler_that_does_not_serve_is_named_with_its_state(#[case] state: SchedulerState) {
        let views = [view("s", "a", state, 0)];
        let error = route(Policy::LeastLoaded, &views, wanted(&"a".into(), &[]), None).expect_err("nobody serves");
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.retry_after.is_some());
        assert!(error.message.contains(&format!("s is {}", state.as_str())), "{}", error.message);
    }
}
