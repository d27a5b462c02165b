//! Which scheduler gets a request. Pure: no clock, no randomness, no I/O.
//!
//! [`choose_scheduler`] is the only place where one is chosen, for generations and for
//! embeddings. It excludes the schedulers that cannot take the request, each for one
//! [`Obstacle`], and lets the policy choose among the others.

pub(crate) mod breaker;
pub(crate) mod explain;
mod request;
pub(crate) mod slow_start;

use std::time::Duration;

use hostler_config::RoutingPolicy;
use hostler_protocol::{FencingToken, RequestError, SchedulerId};
use hostler_scheduler::SchedulerState;

pub(crate) use request::RouteRequest;

use self::breaker::BreakerState;
use self::slow_start::{FULL_SHARE, takes_part};
use crate::policy::{Candidate, PolicyInput, Reason, choose};

/// When to retry while a model is loading or all of its schedulers drain. How long that
/// takes is unknown; one second is short for a person and long for a machine.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most schedulers that an error lists: a cluster may have a thousand.
const LISTED_MAX: usize = 8;

/// What is known of one scheduler at the moment of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchedulerView<'a> {
    pub(crate) id: &'a SchedulerId,
    pub(crate) state: SchedulerState,
    /// The claim that the scheduler is held under.
    pub(crate) claim: Option<FencingToken>,
    pub(crate) breaker: BreakerState,
    /// Whether the circuit breaker lets a request through now.
    pub(crate) admits: bool,
    /// The recent share of failures, in thousandths.
    pub(crate) failing: u32,
    /// The share of decisions that the scheduler takes part in, in thousandths: less than
    /// [`FULL_SHARE`] during slow start.
    pub(crate) share: u32,
    /// What the policy compares; `slot` is the index in the router's table.
    pub(crate) candidate: Candidate,
}

/// Why a scheduler cannot get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It refused this request already.
    Refused,
    /// It is not serving, or not held under the request's claim.
    State,
    /// Its circuit breaker is open.
    Breaker,
    /// It is in slow start, and this decision is not in its share.
    Newcomer,
}

/// Chooses among `views`, which are all schedulers of the request's model. Returns the
/// index in `views` and the reason.
///
/// # Errors
/// `Unavailable` if no scheduler can take the request now.
pub(crate) fn choose_scheduler(
    policy: RoutingPolicy,
    views: &[SchedulerView<'_>],
    request: &RouteRequest,
    input: PolicyInput,
) -> Result<(usize, Reason), RequestError> {
    let limited = limits_newcomers(views, request);
    let able: Vec<usize> =
        (0..views.len()).filter(|&index| views[index].obstacle(request, limited, input.random).is_none()).collect();
    let candidates: Vec<Candidate> = able.iter().map(|&index| views[index].candidate).collect();
    if let Some((index, reason)) = choose(policy, &candidates, input) {
        return Ok((able[index], reason));
    }
    if request.claim.is_some() {
        return Err(RequestError::claim_ended());
    }
    match least_failing(policy, views, request, input) {
        Some(index) => Ok((index, Reason::LeastFailing)),
        None => Err(no_scheduler(request, views)),
    }
}

/// When only circuit breakers keep schedulers from taking the request: the one that has failed
/// least lately. A breaker protects a model only while another scheduler can serve it.
fn least_failing(
    policy: RoutingPolicy,
    views: &[SchedulerView<'_>],
    request: &RouteRequest,
    input: PolicyInput,
) -> Option<usize> {
    let open = || {
        let is_open = |&index: &usize| views[index].obstacle(request, false, 0) == Some(Obstacle::Breaker);
        (0..views.len()).filter(is_open)
    };
    let least = open().map(|index| views[index].failing).min()?;
    let equals: Vec<usize> = open().filter(|&index| views[index].failing == least).collect();
    let candidates: Vec<Candidate> = equals.iter().map(|&index| views[index].candidate).collect();
    choose(policy, &candidates, input).map(|(index, _)| equals[index])
}

/// Whether slow start limits newcomers: only while another scheduler can take the rest.
fn limits_newcomers(views: &[SchedulerView<'_>], request: &RouteRequest) -> bool {
    request.claim.is_none()
        && views.iter().any(|view| view.share == FULL_SHARE && view.obstacle(request, false, 0).is_none())
}

impl SchedulerView<'_> {
    fn obstacle(&self, request: &RouteRequest, limits_newcomers: bool, random: u64) -> Option<Obstacle> {
        if !self.accepts(request.claim) {
            Some(Obstacle::State)
        } else if request.refused.contains(self.id) {
            Some(Obstacle::Refused)
        } else if request.claim.is_some() {
            // The claim has chosen the scheduler, and its holder wants to see failures.
            None
        } else if !self.admits {
            Some(Obstacle::Breaker)
        } else if limits_newcomers && !takes_part(self.share, random, self.candidate.key) {
            Some(Obstacle::Newcomer)
        } else {
            None
        }
    }

    /// Whether the scheduler takes requests under this claim, or under none.
    fn accepts(&self, claim: Option<FencingToken>) -> bool {
        match claim {
            None => self.state == SchedulerState::Serving,
            Some(_) => self.state == SchedulerState::Claimed && self.claim == claim,
        }
    }

    /// Why the scheduler does not take requests, as an error says it.
    fn condition(&self) -> String {
        format!("{} is {}", self.id, self.state.as_str())
    }
}

/// The model is known, but none of its schedulers takes requests.
fn no_scheduler(request: &RouteRequest, views: &[SchedulerView<'_>]) -> RequestError {
    let mut conditions: Vec<String> = views.iter().take(LISTED_MAX).map(SchedulerView::condition).collect();
    if views.len() > LISTED_MAX {
        conditions.push(format!("and {} more", views.len() - LISTED_MAX));
    }
    let (model, conditions) = (request.model.as_str(), conditions.join(", "));
    RequestError::unavailable(format!("no scheduler is serving model {model:?}: {conditions}"))
        .with_retry_after(UNAVAILABLE_RETRY_AFTER)
}

#[cfg(test)]
mod tests;
