//! The router's decision: a pure function of what is known of the schedulers.

use hostler_protocol::{FencingToken, ModelId, RequestError, SchedulerId};
use hostler_scheduler::SchedulerState;
use std::time::Duration;

use crate::policy::{Candidate, Circumstances, Policy, Reason, choose};
use crate::slow_start::{FULL_SHARE, takes_part};

/// When to come back while a model is loading or every scheduler of it drains.
/// Nothing is known of how long that takes; a second is short for a person and
/// long for a machine.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is known of one scheduler at the moment of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Its name.
    pub(crate) id: &'a SchedulerId,
    /// What it does.
    pub(crate) state: SchedulerState,
    /// The claim that is on it.
    pub(crate) claim: Option<FencingToken>,
    /// Whether its breaker lets a request through.
    pub(crate) admitted: bool,
    /// In how many of a thousand decisions it takes part: less while it is new.
    pub(crate) share: u32,
    /// What the policy compares; `slot` is its place in the router's table.
    pub(crate) candidate: Candidate,
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

/// What keeps a scheduler from getting a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It refused this request already.
    Refused,
    /// It does not serve, or not under this claim.
    State,
    /// Its breaker is open.
    Breaker,
    /// It is new, and this decision is not one of its share.
    Newcomer,
}

/// Chooses a scheduler: an index in `views`, which are those of the wanted model, and
/// why it is that one.
///
/// # Errors
/// `Unavailable` if nobody serves the model now.
pub(crate) fn route(
    policy: Policy,
    views: &[View<'_>],
    wanted: Wanted<'_>,
    given: Circumstances,
) -> Result<(usize, Reason), RequestError> {
    let newcomers = newcomers_wait(views, wanted);
    let open: Vec<usize> =
        (0..views.len()).filter(|&index| views[index].obstacle(wanted, newcomers, given.random).is_none()).collect();
    let candidates: Vec<Candidate> = open.iter().map(|&index| views[index].candidate).collect();
    match choose(policy, &candidates, given) {
        Some((index, reason)) => Ok((open[index], reason)),
        None if wanted.claim.is_some() => Err(RequestError::claim_ended()),
        None => Err(nobody_serves(wanted, views)),
    }
}

/// Whether newcomers get but their share: only while somebody else can take the rest.
pub(crate) fn newcomers_wait(views: &[View<'_>], wanted: Wanted<'_>) -> bool {
    wanted.claim.is_none()
        && views.iter().any(|view| view.share == FULL_SHARE && view.obstacle(wanted, false, 0).is_none())
}

impl View<'_> {
    /// What keeps it from getting the request, if anything does.
    pub(crate) fn obstacle(&self, wanted: Wanted<'_>, newcomers_wait: bool, random: u64) -> Option<Obstacle> {
        if !self.takes(wanted.claim) {
            Some(Obstacle::State)
        } else if wanted.refused.contains(self.id) {
            Some(Obstacle::Refused)
        } else if wanted.claim.is_some() {
            // It was chosen already; whoever holds it wants to know how it does.
            None
        } else if !self.admitted {
            Some(Obstacle::Breaker)
        } else if newcomers_wait && !takes_part(self.share, random, self.candidate.key) {
            Some(Obstacle::Newcomer)
        } else {
            None
        }
    }

    /// Whether it takes requests that come under this claim, or under none.
    fn takes(&self, claim: Option<FencingToken>) -> bool {
        match claim {
            None => self.state == SchedulerState::Serving,
            Some(_) => self.state == SchedulerState::Claimed && self.claim == claim,
        }
    }

    /// What it does, for people.
    fn condition(&self) -> &'static str {
        if self.state == SchedulerState::Serving && !self.admitted {
            "left alone after failures"
        } else {
            self.state.as_str()
        }
    }
}

/// Most schedulers that an error names: a cluster may have a thousand.
const NAMED_MAX: usize = 8;

/// The model is known, but nobody takes requests: says what they all do.
fn nobody_serves(wanted: Wanted<'_>, views: &[View<'_>]) -> RequestError {
    let mut states: Vec<String> =
        views.iter().take(NAMED_MAX).map(|view| format!("{} is {}", view.id, view.condition())).collect();
    if views.len() > NAMED_MAX {
        states.push(format!("and {} more", views.len() - NAMED_MAX));
    }
    RequestError::unavailable(format!(
        "no scheduler of model {:?} takes requests now: {}",
        wanted.model.as_str(),
        states.join(", ")
    ))
    .with_retry_after(UNAVAILABLE_RETRY_AFTER)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
