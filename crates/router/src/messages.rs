//! What the router actor is told and asked.

use std::sync::Arc;

use actix::Message;
use hostler_protocol::{FencingToken, GenerationRequest, ModelId, RequestError, RequestId, SchedulerId};
use hostler_scheduler::Scheduler;

use crate::explain::Explanation;
use crate::health::Health;
use crate::in_flight::InFlightGuard;
use crate::policy::{Policy, hash_text, prompt_blocks};
use crate::state::Wanted;

/// Asks for a scheduler, and counts the request there until the guard drops.
#[derive(Message)]
#[rtype(result = "Result<Assignment, RequestError>")]
pub(crate) struct ChooseScheduler(pub(crate) Question);

/// Asks which scheduler would be chosen, and why; nothing is counted.
#[derive(Message)]
#[rtype(result = "Result<Explanation, RequestError>")]
pub(crate) struct ExplainRoute(pub(crate) Question);

/// What a decision needs to know of a request.
pub(crate) struct Question {
    /// The request that is to be served.
    pub(crate) id: RequestId,
    /// The model that shall serve it.
    pub(crate) model: ModelId,
    /// The claim under which it comes.
    pub(crate) claim: Option<FencingToken>,
    /// About how many tokens there are to read and generate.
    pub(crate) work_tokens: u64,
    /// Schedulers that refused it already.
    pub(crate) refused: Vec<SchedulerId>,
    /// A hash of its session.
    pub(crate) session: Option<u64>,
    /// Hashes of its prompt's beginning, where the policy asks for them.
    pub(crate) blocks: Vec<u64>,
}

impl Question {
    /// The question for `request`, which these schedulers have refused. Hashing is
    /// done here, by the caller, not by the actor for all of them.
    pub(crate) fn new(request: &GenerationRequest, refused: &[SchedulerId], policy: Policy) -> Self {
        let blocks = if policy == Policy::PrefixAware { prompt_blocks(&request.prompt) } else { Vec::new() };
        Self {
            id: request.id,
            model: request.model.clone(),
            claim: request.claim,
            work_tokens: crate::in_flight::estimated_work(request),
            refused: refused.to_vec(),
            session: request.session.as_ref().map(|session| hash_text(session.as_str())),
            blocks,
        }
    }

    /// What the request needs of a scheduler.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted { model: &self.model, claim: self.claim, refused: &self.refused }
    }
}

/// The scheduler that was chosen.
pub(crate) struct Assignment {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) health: Health,
    pub(crate) in_flight: InFlightGuard,
}

/// A scheduler joins: requests may be sent to it from now on. One of the same
/// name is replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AddScheduler(pub(crate) Arc<dyn Scheduler>);

/// A scheduler leaves: it gets no more requests. What it has, it keeps.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct RemoveScheduler(pub(crate) SchedulerId);
