//! The choice of the next token of a sequence.

use std::sync::Arc;

use hostler_protocol::{CacheScope, Logprob, TokenId};

use super::candidates::{Choice, Position, Rules, mix};
use super::codec::END;
use crate::Sequence;
use crate::text::Answer;

/// Chooses the tokens of one sequence. A choice depends only on the previous tokens,
/// and on the seed if the request samples.
pub(super) struct Chooser {
    sequence: Arc<Sequence>,
    position: Position,
    /// The answer so far.
    answer: Vec<TokenId>,
    eos_after: Option<u32>,
    /// The answer that is given, if there is a script.
    script: Option<Arc<[TokenId]>>,
    seed: u64,
}

impl Chooser {
    /// `seed` is used if the request samples without a seed.
    pub(super) fn new(
        sequence: Arc<Sequence>,
        eos_after: Option<u32>,
        script: Option<Arc<[TokenId]>>,
        seed: u64,
    ) -> Self {
        let mut chooser = Self {
            position: Position { text: 0, last: 0, ends: false },
            answer: Vec::new(),
            eos_after,
            script,
            seed: sequence.sampling.seed.unwrap_or(seed),
            sequence,
        };
        for &token in chooser.sequence.prompt() {
            chooser.position.text = chain(chooser.position.text, token);
            chooser.position.last = token;
        }
        let answered = chooser.sequence.answer().to_vec();
        for token in answered {
            chooser.push(token);
        }
        chooser
    }

    /// The next token. It is not part of the answer until it is pushed.
    pub(super) fn choose(&self, answer: &Answer) -> Choice {
        if let Some(choice) = self.scripted(answer) {
            return choice;
        }
        let length = self.answer.len() as u64;
        let ends = self.eos_after.is_some_and(|after| length >= u64::from(after));
        let position = Position { ends, ..self.position };
        let banned: Vec<_> = answer.banned().collect();
        if self.is_plain() && banned.is_empty() {
            return Choice { token: position.likeliest(), logprob: None };
        }
        let rules = Rules {
            sampling: &self.sequence.sampling,
            banned: &banned,
            prompt: self.sequence.prompt(),
            answer: &self.answer,
            top_logprobs: self.sequence.top_logprobs,
            draw: unit(mix(self.seed ^ mix(length))),
        };
        rules.choose(position)
    }

    /// The next token of the script, of which the end of sequence is the last.
    fn scripted(&self, answer: &Answer) -> Option<Choice> {
        let token = self.script.as_ref()?.get(self.answer.len()).copied().unwrap_or(END);
        if answer.banned().any(|banned| banned == token) {
            return None;
        }
        let certain = |top: u32| Logprob { logprob: 0.0, top: (0..top.min(1)).map(|_| (token, 0.0)).collect() };
        Some(Choice { token, logprob: self.sequence.top_logprobs.map(certain) })
    }

    /// Appends the chosen token to the answer.
    pub(super) fn push(&mut self, token: TokenId) {
        self.position.text = chain(self.position.text, token);
        self.position.last = token;
        self.answer.push(token);
    }

    /// The scope of the sequence's cached prefixes.
    pub(super) fn cache_scope(&self) -> CacheScope {
        self.sequence.cache_scope.clone()
    }

    /// The tokens of prompt and answer.
    pub(super) fn tokens(&self) -> Arc<[TokenId]> {
        self.sequence.prompt().iter().chain(&self.answer).copied().collect()
    }

    /// Whether the likeliest token is taken without computing the distribution: the
    /// fast path for measurements with an engine that costs no time.
    fn is_plain(&self) -> bool {
        let sampling = &self.sequence.sampling;
        sampling.is_greedy()
            && sampling.logit_bias.is_empty()
            && sampling.repetition_penalty == 1.0
            && sampling.presence_penalty == 0.0
            && sampling.frequency_penalty == 0.0
            && self.sequence.top_logprobs.is_none()
    }
}

/// The hash of a text with one more token.
fn chain(text: u64, token: TokenId) -> u64 {
    mix(text ^ u64::from(token))
}

/// The upper 24 bits as a number in 0..1: the precision of a 32-bit float.
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1_u64 << 24) as f32
}
