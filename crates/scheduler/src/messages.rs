//! The messages of the scheduler actor. Tokens are never sent as messages.
//!
//! An actix mailbox is unbounded in practice (each clone of an address has a slot of its
//! own, and `do_send` ignores the capacity), so every message here is either bounded by
//! the permit of the request that it belongs to, or sent by the one supervisor.

use std::sync::Arc;

use actix::Message;
use hostler_executor::{Sequence, TokenSink};
use hostler_protocol::{ClaimDrain, FencingToken, RequestError, RequestId, TenantId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::active::ActiveRequest;
use crate::state::{Claim, Demand, Ticket};

/// Admits a request to the queue, or refuses it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubmitGeneration {
    /// What scheduling needs to know about it.
    pub(crate) demand: Demand,
    /// What the engine needs to know about it.
    pub(crate) sequence: Sequence,
    /// Where its output goes.
    pub(crate) sink: TokenSink,
    /// Its shared record.
    pub(crate) active: Arc<ActiveRequest>,
    /// Its place among all requests that the scheduler has, mailbox included.
    pub(crate) permit: OwnedSemaphorePermit,
    /// Receives whether it was admitted.
    pub(crate) reply: oneshot::Sender<Result<(), RequestError>>,
}

/// The client has dropped the stream of a request.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CancelSequence {
    /// Which one.
    pub(crate) ticket: Ticket,
}

/// Cancels a request by its id. Answers whether it was here.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct CancelRequest {
    /// Which one.
    pub(crate) id: RequestId,
}

/// The engine has ended a sequence.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SequenceEnded {
    /// Which one.
    pub(crate) ticket: Ticket,
    /// Tokens that it generated.
    pub(crate) answer_tokens: u32,
    /// Whether it ended by a fault of the engine.
    pub(crate) engine_failed: bool,
}

/// The engine has read a text for a tenant's embeddings.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ChargeTenant {
    /// Whose.
    pub(crate) tenant: TenantId,
    /// The text's length.
    pub(crate) tokens: u32,
}

/// Stops admitting requests.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainScheduler {
    /// Notified when the scheduler is empty; dropped if the scheduler fails first.
    pub(crate) empty: oneshot::Sender<()>,
}

/// Admits requests again after a drain.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResumeScheduler;

/// Claims the scheduler.
#[derive(Message)]
#[rtype(result = "Result<(), RequestError>")]
pub(crate) struct ClaimScheduler {
    /// The claim to grant.
    pub(crate) claim: Claim,
    /// What happens to the requests that are here.
    pub(crate) drain: ClaimDrain,
}

/// Renews a claim. False if the claim has ended.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct RenewClaim {
    /// Which claim.
    pub(crate) token: FencingToken,
}

/// Releases a claim. False if the claim has ended.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct ReleaseClaim {
    /// Which claim.
    pub(crate) token: FencingToken,
}

/// The supervisor checks that the actor is alive, and has it update the snapshot.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Heartbeat {
    /// Notified by a living actor; dropped with a dead one.
    pub(crate) alive: oneshot::Sender<()>,
}
