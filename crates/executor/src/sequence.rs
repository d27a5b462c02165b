//! A sequence: a request in the form that an engine processes, with tokens instead of text.

use std::sync::Arc;

use hostler_protocol::{CacheScope, RequestId, SamplingParams, StopConditions, TokenId};

use crate::CompiledConstraint;

/// A sequence to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The id of its request.
    pub id: RequestId,
    /// The prompt, followed by the tokens of the answer that another engine has already
    /// generated.
    pub tokens: Arc<[TokenId]>,
    /// How many of `tokens`, at their end, belong to the answer. Seeded sampling, penalties,
    /// `min_tokens` and stop sequences count from there.
    pub answered: usize,
    /// Maximum tokens still to generate; at least 1.
    pub max_new_tokens: u32,
    /// The sampling parameters.
    pub sampling: SamplingParams,
    /// The stop conditions. `max_new_tokens` already accounts for `max_tokens`.
    pub stop: StopConditions,
    /// The constraint of the answer, compiled by [`ModelExecutor::compile`] of the engine
    /// that runs the sequence, for [`answer`](Self::answer).
    ///
    /// [`ModelExecutor::compile`]: crate::ModelExecutor::compile
    pub constraint: Option<CompiledConstraint>,
    /// If set, log probabilities are reported, with this many alternatives per position.
    pub top_logprobs: Option<u32>,
    /// Cached prefixes are only reused between sequences of the same scope.
    pub cache_scope: CacheScope,
}

impl Sequence {
    /// A greedy sequence that continues `tokens` by at most `max_new_tokens`.
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
            cache_scope: CacheScope::default(),
        }
    }

    /// The tokens of the prompt.
    #[must_use]
    pub fn prompt(&self) -> &[TokenId] {
        &self.tokens[..self.tokens.len() - self.answered]
    }

    /// The tokens of the answer that were already generated.
    #[must_use]
    pub fn answer(&self) -> &[TokenId] {
        &self.tokens[self.tokens.len() - self.answered..]
    }
}
