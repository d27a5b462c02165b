//! Which scheduler gets a request. Pure: no clock, no randomness, no I/O.
//!
//! [`choose_scheduler`] is the only place where one is chosen, for generations and for
//! embeddings, by a look at all of them. It excludes those that cannot take the request, each for
//! one [`Obstacle`], and lets the policy choose among the others. A [`Board`] keeps the schedulers
//! in order, and so decides most requests without that look.

mod board;
pub(crate) mod breaker;
pub(crate) mod explain;
pub(crate) mod record;
mod request;
pub(crate) mod slow_start;

use std::time::Duration;

use hostler_config::RoutingPolicy;
use hostler_protocol::{FencingToken, RequestError, SchedulerId};
use hostler_scheduler::{Abilities, SchedulerState};

pub(crate) use board::Board;
pub(crate) use request::RouteRequest;

use self::breaker::BreakerState;
use self::slow_start::{FULL_SHARE, takes_part};
use crate::policy::{Candidate, PolicyInput, Reason, choose};

/// When to retry while a model is loading or all of its schedulers drain. How long that
/// takes is unknown; one second is short for a person and long for a machine.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most schedulers that an error lists: a cluster may have a thousand.
const LISTED_MAX: usize = 8;

/// What is known of one scheduler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SchedulerView {
    pub(crate) id: SchedulerId,
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
    /// What its model can do; `None` until one is loaded.
    pub(crate) abilities: Option<Abilities>,
    /// What the policy compares; `slot` is the index in the model's table.
    pub(crate) candidate: Candidate,
}

/// Why a scheduler cannot get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It refused this request already.
    Refused,
    /// It is not serving, or not held under the request's claim.
    State,
    /// Its model can never serve the request.
    Incapable,
    /// Its circuit breaker is open.
    Breaker,
    /// It is in slow start, and this decision is not in its share.
    Newcomer,
}

/// Chooses among `views`, which are all schedulers of the request's model. Returns the
/// slot and the reason.
///
/// # Errors
/// `Unavailable` if no scheduler can take the request now.
pub(crate) fn choose_scheduler(
    policy: RoutingPolicy,
    views: &[&SchedulerView],
    request: &RouteRequest,
    input: &PolicyInput<'_>,
) -> Result<(usize, Reason), RequestError> {
    let limited = limits_newcomers(views, request);
    let obstacle = |view: &SchedulerView| view.obstacle(request, limited, input.random);
    if let Some(chosen) = choose_among(policy, views, input, |view| obstacle(view).is_none()) {
        return Ok(chosen);
    }
    if request.claim.is_some() {
        return Err(RequestError::claim_ended());
    }
    if let Some(chosen) = least_failing(policy, views, request, input) {
        return Ok(chosen);
    }
    most_capable(policy, views, request, input).ok_or_else(|| no_scheduler(request, views))
}

/// Lets the policy choose among the views that `may` be chosen.
fn choose_among(
    policy: RoutingPolicy,
    views: &[&SchedulerView],
    input: &PolicyInput<'_>,
    may: impl Fn(&SchedulerView) -> bool,
) -> Option<(usize, Reason)> {
    let candidates: Vec<Candidate> = views.iter().filter(|view| may(view)).map(|view| view.candidate).collect();
    choose(policy, &candidates, input).map(|(index, reason)| (candidates[index].slot, reason))
}

/// When only circuit breakers keep schedulers from taking the request: the one that has failed
/// least lately. A breaker protects a model only while another scheduler can serve it.
fn least_failing(
    policy: RoutingPolicy,
    views: &[&SchedulerView],
    request: &RouteRequest,
    input: &PolicyInput<'_>,
) -> Option<(usize, Reason)> {
    let is_open = |view: &SchedulerView| view.obstacle(request, false, 0) == Some(Obstacle::Breaker);
    let least = views.iter().filter(|view| is_open(view)).map(|view| view.failing).min()?;
    let chosen = choose_among(policy, views, input, |view| is_open(view) && view.failing == least);
    chosen.map(|(slot, _)| (slot, Reason::LeastFailing))
}

/// When no scheduler of the model can ever serve the request: one that comes nearest to it. It
/// refuses, and its refusal says what it could serve. While one that can is away, none is chosen.
fn most_capable(
    policy: RoutingPolicy,
    views: &[&SchedulerView],
    request: &RouteRequest,
    input: &PolicyInput<'_>,
) -> Option<(usize, Reason)> {
    if views.iter().any(|view| view.is_capable(request)) {
        return None;
    }
    let closeness = |view: &SchedulerView| view.abilities.map(|abilities| abilities.closeness(&request.needs));
    let may = |view: &SchedulerView| view.admits && view.obstacle(request, false, 0) == Some(Obstacle::Incapable);
    let nearest = views.iter().filter(|view| may(view)).map(|view| closeness(view)).max()?;
    let chosen = choose_among(policy, views, input, |view| may(view) && closeness(view) == nearest);
    chosen.map(|(slot, _)| (slot, Reason::MostCapable))
}

/// Whether slow start limits newcomers: only while another scheduler can take the rest.
fn limits_newcomers(views: &[&SchedulerView], request: &RouteRequest) -> bool {
    request.claim.is_none()
        && views.iter().any(|view| view.share == FULL_SHARE && view.obstacle(request, false, 0).is_none())
}

impl SchedulerView {
    fn obstacle(&self, request: &RouteRequest, limits_newcomers: bool, random: u64) -> Option<Obstacle> {
        if !self.accepts(request.claim) {
            Some(Obstacle::State)
        } else if request.refused.contains(&self.id) {
            Some(Obstacle::Refused)
        } else if request.claim.is_some() {
            // The claim has chosen the scheduler, and its holder wants to see failures.
            None
        } else if !self.is_capable(request) {
            Some(Obstacle::Incapable)
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

    /// Whether the scheduler's model may be able to serve the request: what is not loaded yet may.
    fn is_capable(&self, request: &RouteRequest) -> bool {
        self.abilities.is_none_or(|abilities| abilities.shortfall(&request.needs).is_none())
    }

    /// Whether the scheduler takes requests that have no claim and that its model can serve.
    fn is_able(&self) -> bool {
        self.state == SchedulerState::Serving && self.admits
    }

    /// Why the scheduler does not take the request, as an error says it.
    fn condition(&self, request: &RouteRequest) -> String {
        if self.is_capable(request) {
            format!("{} is {}", self.id, self.state.as_str())
        } else {
            format!("{} cannot serve this request", self.id)
        }
    }
}

/// The model is known, but none of its schedulers takes requests.
fn no_scheduler(request: &RouteRequest, views: &[&SchedulerView]) -> RequestError {
    let mut conditions: Vec<String> = views.iter().take(LISTED_MAX).map(|view| view.condition(request)).collect();
    if views.len() > LISTED_MAX {
        conditions.push(format!("and {} more", views.len() - LISTED_MAX));
    }
    let (model, conditions) = (request.model.as_str(), conditions.join(", "));
    RequestError::unavailable(format!("no scheduler is serving model {model:?}: {conditions}"))
        .with_retry_after(UNAVAILABLE_RETRY_AFTER)
}

#[cfg(test)]
mod tests;
