//! What the state knows about a request, and what it asks the actor to do with it.

use std::time::Instant;

use hostler_protocol::{FencingToken, Priority, RequestError, RequestId, TenantId};

/// Work of processing one prompt token.
const PROMPT_TOKEN_WORK: u64 = 1;

/// Work of generating one token: twice that of a prompt token, as in the reference
/// implementation of VTC (see [`super::fair`]). A decode step reads the whole model for
/// a few tokens, prefill reads it once for many.
const ANSWER_TOKEN_WORK: u64 = 2;

/// Identifies a request within one scheduler. Unlike a [`RequestId`] it is never reused:
/// a request that is sent again gets a new ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// The part of a request that scheduling depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Its identity within this scheduler.
    pub ticket: Ticket,
    /// Its identity in the cluster.
    pub id: RequestId,
    /// The tenant that it is charged to.
    pub tenant: TenantId,
    /// Its priority class.
    pub class: Priority,
    /// Length of the prompt; at least 1.
    pub prompt_tokens: u32,
    /// Maximum tokens to generate; at least 1.
    pub answer_tokens_max: u32,
    /// When the answer is no longer wanted.
    pub deadline: Option<Instant>,
    /// Equal for equal requests of one tenant; used to recognise a refused request when
    /// it is retried.
    pub fingerprint: u64,
    /// The token of the claim that it belongs to.
    pub claim: Option<FencingToken>,
}

impl Demand {
    /// The KV cache that it may need, in tokens.
    #[must_use]
    pub fn reserved_tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.answer_tokens_max)
    }

    /// Its maximum work.
    #[must_use]
    pub fn work_max(&self) -> u64 {
        work(self.prompt_tokens, self.answer_tokens_max)
    }
}

/// The work of processing and generating this many tokens.
#[must_use]
pub const fn work(prompt_tokens: u32, answer_tokens: u32) -> u64 {
    PROMPT_TOKEN_WORK * prompt_tokens as u64 + ANSWER_TOKEN_WORK * answer_tokens as u64
}

/// An action that the state requests. The actor performs them in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Hand a queued request to the engine.
    Start(Ticket),
    /// End a request that has not reached the engine.
    Refuse(Ticket, RequestError),
    /// Send this error to the client of a running request at once, and ask the engine to
    /// stop the sequence. Its slot is free once the engine reports its end.
    Stop(Ticket, RequestError),
    /// Tell the callers that wait for a drain that the scheduler is empty.
    Empty,
}
