//! What one request asks of an engine, and what that weighs.

use std::time::Instant;

use hostler_protocol::{FencingToken, Priority, RequestId, TenantId};

/// Work of reading one token of a prompt.
const PROMPT_TOKEN_WORK: u64 = 1;

/// Work of generating one token. Twice that of a prompt token, as in the
/// reference implementation of VTC (see [`super::fair`]): decoding reads the
/// whole model for few tokens, prefill for many.
const ANSWER_TOKEN_WORK: u64 = 2;

/// Names one request inside one scheduler. Unlike a [`RequestId`] it is never
/// used twice: a request that failed and is sent again has a ticket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One request, as far as scheduling is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Its name here.
    pub ticket: Ticket,
    /// Its name everywhere.
    pub id: RequestId,
    /// Who it is accounted to.
    pub tenant: TenantId,
    /// How urgent it is.
    pub class: Priority,
    /// Tokens to read; at least 1.
    pub prompt_tokens: u32,
    /// Most tokens to generate; at least 1.
    pub answer_tokens_max: u32,
    /// When nobody waits for it any more.
    pub deadline: Option<Instant>,
    /// Equal for equal requests of one tenant: how one that was refused is known
    /// again when it comes back.
    pub fingerprint: u64,
    /// The claim under which it comes.
    pub claim: Option<FencingToken>,
}

impl Demand {
    /// Tokens of KV cache that it may come to need.
    #[must_use]
    pub fn reserved_tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.answer_tokens_max)
    }

    /// Work at most.
    #[must_use]
    pub fn work_max(&self) -> u64 {
        work(self.prompt_tokens, self.answer_tokens_max)
    }
}

/// Work of reading and generating so many tokens.
#[must_use]
pub const fn work(prompt_tokens: u32, answer_tokens: u32) -> u64 {
    PROMPT_TOKEN_WORK * prompt_tokens as u64 + ANSWER_TOKEN_WORK * answer_tokens as u64
}
