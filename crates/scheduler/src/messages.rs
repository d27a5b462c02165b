//! What the scheduler actor is told. Tokens never are messages.
//!
//! The mailbox bounds nothing (a handle that is cloned has a slot of its own, and
//! `do_send` ignores the capacity), so every message here is bounded by a permit
//! of the request that it belongs to, or sent by the one owner.

use std::sync::Arc;

use actix::Message;
use hostler_executor::{Sequence, TokenSink};
use hostler_protocol::{ClaimDrain, FencingToken, RequestError, RequestId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::life::Life;
use crate::state::{Claim, Demand, Ticket};

/// Takes a request into the queue, or refuses it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SubmitGeneration {
    /// What scheduling needs to know of it.
    pub(crate) demand: Demand,
    /// What the engine needs to know of it.
    pub(crate) sequence: Sequence,
    /// Where its output goes.
    pub(crate) sink: TokenSink,
    /// What is shared about it.
    pub(crate) life: Arc<Life>,
    /// Its place among all requests that the scheduler has, mailbox included.
    pub(crate) permit: OwnedSemaphorePermit,
    /// Hears whether it was admitted.
    pub(crate) reply: oneshot::Sender<Result<(), RequestError>>,
}

/// Nobody reads a request's answer any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CancelSequence {
    /// Which one.
    pub(crate) ticket: Ticket,
}

/// Somebody cancels a request by its name. Whether it was here.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct CancelRequest {
    /// Which one.
    pub(crate) id: RequestId,
}

/// The engine has ended a sequence that it was given.
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

/// Takes nothing new.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainScheduler {
    /// Hears when nothing is left; dropped when the scheduler fails first.
    pub(crate) empty: oneshot::Sender<()>,
}

/// Takes requests again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ResumeScheduler;

/// Somebody wants the scheduler for themselves.
#[derive(Message)]
#[rtype(result = "Result<(), RequestError>")]
pub(crate) struct ClaimScheduler {
    /// Who, and for how long.
    pub(crate) claim: Claim,
    /// What happens to the requests that are here.
    pub(crate) drain: ClaimDrain,
}

/// The holder of a claim lives. Whether it is still theirs.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct RenewClaim {
    /// Which claim.
    pub(crate) token: FencingToken,
}

/// The holder of a claim gives the scheduler back. Whether it was still theirs.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct ReleaseClaim {
    /// Which claim.
    pub(crate) token: FencingToken,
}

/// The owner asks whether the actor lives, and has the snapshot brought up to date.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Heartbeat {
    /// Hears that it does; dropped when it is dead.
    pub(crate) alive: oneshot::Sender<()>,
}
