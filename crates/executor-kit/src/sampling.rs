//! Sampling: the choice of the next token from the logits. Pure except for the state of
//! the constraint.
//!
//! The order is vLLM's: logit bias, penalties, banned tokens and the constraint change the
//! logits; then temperature, min-p, top-k and top-p apply; then a token is drawn. The
//! random numbers depend only on the seed and the token's position in the answer, so an
//! answer that continues on another engine draws the same ones.

mod draw;
mod history;
mod logprobs;
mod vector;

use hostler_executor::text::Answer;
use hostler_protocol::{Logprob, SamplingParams, TokenId};

use self::draw::{Buffers, PositionSeed, draw};
use self::history::History;
use self::vector::argmax;
use crate::constraint::ConstraintState;

/// Samples the tokens of one sequence.
pub struct Sampler {
    params: SamplingParams,
    seed: u64,
    /// Number of tokens of the answer so far.
    position: u64,
    history: Option<History>,
    constraint: Option<ConstraintState>,
    top_logprobs: Option<usize>,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// The chosen token.
    Token {
        /// Its id.
        id: TokenId,
        /// Its log probability, if the request asks for it.
        logprob: Option<Logprob>,
    },
    /// No token is allowed: the constraint is satisfied, and the tokens that would end
    /// the answer are banned or not in the vocabulary.
    NoToken,
}

/// Buffers that all sequences of an engine share.
#[derive(Debug, Default)]
pub struct Scratch {
    logits: Vec<f32>,
    draw: Buffers,
}

impl Sampler {
    /// `prompt` and `answered` are the tokens so far; `seed` is used if the request has
    /// none. Every token id in `prompt`, `answered` and the logit bias must be below the
    /// vocabulary size, which [`Limits::check`](crate::Limits::check) ensures.
    #[must_use]
    pub fn new(
        params: SamplingParams,
        seed: u64,
        prompt: &[TokenId],
        answered: &[TokenId],
        constraint: Option<ConstraintState>,
        top_logprobs: Option<u32>,
    ) -> Self {
        let history = History::needed(&params).then(|| History::new(prompt, answered));
        Self {
            seed: params.seed.unwrap_or(seed),
            position: answered.len() as u64,
            params,
            history,
            constraint,
            top_logprobs: top_logprobs.map(|count| count as usize),
        }
    }

    /// Samples the next token of `answer`, given one logit for each token of the
    /// vocabulary, and adds it to the state.
    ///
    /// # Errors
    /// The message of the constraint's parser, if it fails.
    pub fn sample(&mut self, logits: &[f32], answer: &Answer, scratch: &mut Scratch) -> Result<Choice, String> {
        let Some(id) = self.sample_id(logits, answer, scratch)? else { return Ok(Choice::NoToken) };
        self.position += 1;
        if let Some(history) = &mut self.history {
            history.add(id);
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(id)?;
        }
        let logprob = self.top_logprobs.map(|count| logprobs::logprob(logits, id, count));
        Ok(Choice::Token { id, logprob })
    }

    /// Whether the sequence has a constraint.
    pub(crate) fn is_constrained(&self) -> bool {
        self.constraint.is_some()
    }

    fn sample_id(&mut self, logits: &[f32], answer: &Answer, scratch: &mut Scratch) -> Result<Option<TokenId>, String> {
        let plain = self.params.logit_bias.is_empty() && self.history.is_none() && self.constraint.is_none();
        if plain && self.params.is_greedy() {
            // The adjustments do not change the order of the tokens, so the likeliest one
            // is the result unless it is banned.
            let likeliest = argmax(logits);
            if !answer.banned().any(|banned| Some(banned) == likeliest) {
                return Ok(likeliest);
            }
        }
        self.adjust(logits, answer, &mut scratch.logits)?;
        if self.params.is_greedy() {
            return Ok(argmax(&scratch.logits));
        }
        let seed = PositionSeed::new(self.seed, self.position);
        Ok(draw(&scratch.logits, &self.params, seed, &mut scratch.draw))
    }

    /// Applies bias, penalties, bans and the constraint; excluded tokens get minus infinity.
    fn adjust(&mut self, logits: &[f32], answer: &Answer, adjusted: &mut Vec<f32>) -> Result<(), String> {
        adjusted.clear();
        adjusted.extend_from_slice(logits);
        for &(id, bias) in &self.params.logit_bias {
            adjusted[id as usize] += bias;
        }
        if let Some(history) = &self.history {
            history.penalise(&self.params, adjusted);
        }
        for banned in answer.banned() {
            if let Some(logit) = adjusted.get_mut(banned as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(adjusted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
