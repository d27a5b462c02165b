//! What would be chosen, and why: `GET /admin/route/explain`.

use hostler_protocol::{ModelId, SchedulerId};
use hostler_scheduler::SchedulerState;
use serde::Serialize;

use crate::breaker::BreakerState;
use crate::policy::{Policy, Reason};
use crate::state::Obstacle;

/// A decision as it would be made now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The model that was asked for.
    pub model: ModelId,
    /// How the choice is made.
    pub policy: Policy,
    /// Who would get the request; `None` where nobody can.
    pub chosen: Option<SchedulerId>,
    /// Why that one.
    pub reason: Option<Reason>,
    /// What the client would be told, where nobody can.
    pub refusal: Option<String>,
    /// Whole blocks at the beginning of the prompt, of those that are looked at; 0
    /// unless the policy is `prefix_aware`.
    pub prompt_blocks: usize,
    /// Every scheduler of the model.
    pub schedulers: Vec<ConsideredScheduler>,
}

/// One scheduler, as the decision sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConsideredScheduler {
    /// Its name.
    pub id: SchedulerId,
    /// What it does.
    pub state: SchedulerState,
    /// Whether it is left alone after failures.
    pub breaker: BreakerState,
    /// In what share of the decisions it takes part, 0 to 1: less while it is new.
    pub share: f64,
    /// Token work that it has to do.
    pub work_tokens: u64,
    /// Requests that it has, waiting and running.
    pub requests: u32,
    /// Most sequences that it runs at once.
    pub batch_size_max: u32,
    /// Blocks of the prompt's beginning that it has read before.
    pub matched_blocks: u32,
    /// What keeps it from getting this request: `state`, `breaker` or `newcomer`.
    pub obstacle: Option<&'static str>,
}

impl Obstacle {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::State => "state",
            Self::Breaker => "breaker",
            Self::Newcomer => "newcomer",
        }
    }
}
