//! A request as an engine sees it: tokens, not text.

use std::sync::Arc;

use hostler_protocol::{RequestId, SamplingParams, StopConditions, TokenId};

use crate::CompiledConstraint;

/// One sequence to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The request that it belongs to.
    pub id: RequestId,
    /// Prompt tokens, and after them the tokens of the answer that were
    /// generated elsewhere already.
    pub tokens: Arc<[TokenId]>,
    /// How many of `tokens`, at their end, belong to the answer. Seeded sampling,
    /// penalties, `min_tokens` and stop sequences count from there.
    pub answered: usize,
    /// Most tokens still to generate; at least 1.
    pub max_new_tokens: u32,
    /// How the next token is chosen.
    pub sampling: SamplingParams,
    /// When it ends. `max_tokens` is accounted for in `max_new_tokens` already.
    pub stop: StopConditions,
    /// The form that the answer must have, from [`ModelExecutor::compile`] of the
    /// engine that runs it, called with [`answer`](Self::answer).
    ///
    /// [`ModelExecutor::compile`]: crate::ModelExecutor::compile
    pub constraint: Option<CompiledConstraint>,
    /// Report log probabilities, with so many alternatives a position.
    pub top_logprobs: Option<u32>,
}

impl Sequence {
    /// A sequence that continues `tokens` by at most `max_new_tokens`, greedily.
    #[must_use]
    pub fn greedy(tokens: impl Into<Arc<[TokenId]>>, max_new_tokens: u32) -> Self {
        Self {
            id: RequestId::new(),
            tokens: tokens.into(),
            answered: 0,
            max_new_tokens,
            sampling: SamplingParams::greedy(),
            stop: StopConditions::default(),
            constraint: None,
            top_logprobs: None,
        }
    }

    /// The prompt, without the part of the answer that is there already.
    #[must_use]
    pub fn prompt(&self) -> &[TokenId] {
        &self.tokens[..self.tokens.len() - self.answered]
    }

    /// The part of the answer that is there already.
    #[must_use]
    pub fn answer(&self) -> &[TokenId] {
        &self.tokens[self.tokens.len() - self.answered..]
    }
}
