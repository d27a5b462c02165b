//! What a decision would be and why: `GET /admin/route/explain`.

use hostler_config::RoutingPolicy;
use hostler_protocol::{ModelId, SchedulerId};
use hostler_scheduler::SchedulerState;
use serde::Serialize;

use super::breaker::BreakerState;
use super::slow_start::FULL_SHARE;
use super::{Obstacle, RouteRequest, SchedulerView, choose_scheduler, limits_newcomers};
use crate::policy::{PolicyInput, Reason};

/// The decision that would be made now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The requested model.
    pub model: ModelId,
    /// The policy that chooses.
    pub policy: RoutingPolicy,
    /// The scheduler that would get the request; `None` if none can.
    pub chosen: Option<SchedulerId>,
    /// Why this scheduler.
    pub reason: Option<Reason>,
    /// The error that the client would get if no scheduler can take the request.
    pub refusal: Option<String>,
    /// Complete blocks at the beginning of the prompt that are compared; 0 unless the policy
    /// is `prefix_aware`.
    pub prompt_blocks: usize,
    /// Every scheduler of the model.
    pub schedulers: Vec<ConsideredScheduler>,
}

/// One scheduler, as the decision sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsideredScheduler {
    /// Its name.
    pub id: SchedulerId,
    /// Its state.
    pub state: SchedulerState,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// The share of decisions that it takes part in, 0 to 1: less than 1 during slow start.
    pub share: f64,
    /// Tokens that it has to read and generate.
    pub work_tokens: u64,
    /// Its requests, waiting and running.
    pub requests: u32,
    /// Most sequences that it runs at once.
    pub batch_size_max: u32,
    /// Blocks of the prompt's beginning that it has read before.
    pub matched_blocks: u32,
    /// Why it cannot get this request: `refused`, `state`, `incapable`, `breaker` or
    /// `newcomer`.
    pub obstacle: Option<&'static str>,
}

/// Explains what [`choose_scheduler`] decides with the same arguments.
pub(crate) fn explain(
    policy: RoutingPolicy,
    views: &[&SchedulerView],
    request: &RouteRequest,
    input: &PolicyInput<'_>,
) -> Explanation {
    let (chosen, reason, refusal) = match choose_scheduler(policy, views, request, input) {
        Ok((slot, reason)) => {
            let chosen = views.iter().find(|view| view.candidate.slot == slot);
            (chosen.map(|view| view.id.clone()), Some(reason), None)
        }
        Err(error) => (None, None, Some(error.message)),
    };
    let limited = limits_newcomers(views, request);
    let considered = |view: &&SchedulerView| {
        let matched_blocks = input.matched_blocks(view.candidate.slot);
        considered(view, matched_blocks, view.obstacle(request, limited, input.random))
    };
    Explanation {
        model: request.model.clone(),
        policy,
        chosen,
        reason,
        refusal,
        prompt_blocks: request.blocks.len(),
        schedulers: views.iter().map(considered).collect(),
    }
}

fn considered(view: &SchedulerView, matched_blocks: u32, obstacle: Option<Obstacle>) -> ConsideredScheduler {
    ConsideredScheduler {
        id: view.id.clone(),
        state: view.state,
        breaker: view.breaker,
        share: f64::from(view.share) / f64::from(FULL_SHARE),
        work_tokens: view.candidate.work_tokens,
        requests: view.candidate.requests,
        batch_size_max: view.candidate.batch_size_max,
        matched_blocks,
        obstacle: obstacle.map(|obstacle| match obstacle {
            Obstacle::Refused => "refused",
            Obstacle::State => "state",
            Obstacle::Incapable => "incapable",
            Obstacle::Breaker => "breaker",
            Obstacle::Newcomer => "newcomer",
        }),
    }
}
