//! How the next token is chosen from the logits: pure, but for the constraint's own state.
//!
//! The order is vLLM's: logit bias, penalties, forbidden tokens and the constraint
//! change the logits; then come temperature, min-p, top-k and top-p; then chance,
//! which depends on nothing but the seed and the token's position in the answer. So an
//! answer that is continued elsewhere goes on as it would have here.

mod argmax;
mod draw;
mod exp;
mod history;
mod logprobs;

use hostler_executor::text::Answer;
use hostler_protocol::{Logprob, SamplingParams, TokenId};

use self::argmax::argmax;
use self::draw::{Chance, Field, draw};
use self::history::History;
use crate::constraint::ConstraintState;

/// Chooses the tokens of one sequence.
pub struct Chooser {
    params: SamplingParams,
    seed: u64,
    /// Tokens of the answer so far.
    position: u64,
    history: Option<History>,
    constraint: Option<ConstraintState>,
    top_logprobs: Option<usize>,
}

/// One step's choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// This token.
    Token {
        /// Its index in the vocabulary.
        id: TokenId,
        /// Where log probabilities were asked for.
        logprob: Option<Logprob>,
    },
    /// No token may come: the constraint is fulfilled, and what would end the
    /// answer is forbidden or not in the vocabulary.
    Nothing,
}

/// Buffers that all sequences of an engine use in turn.
#[derive(Debug, Default)]
pub struct Scratch {
    logits: Vec<f32>,
    field: Field,
}

impl Chooser {
    /// `prompt` and `answered` are what is there already; `seed`: what the random
    /// numbers come from where the request names none. Every token id in `prompt`,
    /// `answered` and the logit bias must be below the vocabulary's size, as
    /// [`Limits::check`](crate::Limits::check) sees to.
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

    /// Chooses the next token of `answer` from one logit for each token of the
    /// vocabulary, and takes it as chosen.
    ///
    /// # Errors
    /// What the constraint's parser says when it gives up.
    pub fn choose(&mut self, logits: &[f32], answer: &Answer, scratch: &mut Scratch) -> Result<Choice, String> {
        let Some(id) = self.choose_id(logits, answer, scratch)? else { return Ok(Choice::Nothing) };
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

    /// Whether the answer must have a given form.
    pub(crate) fn is_constrained(&self) -> bool {
        self.constraint.is_some()
    }

    fn choose_id(&mut self, logits: &[f32], answer: &Answer, scratch: &mut Scratch) -> Result<Option<TokenId>, String> {
        let plain = self.params.logit_bias.is_empty() && self.history.is_none() && self.constraint.is_none();
        if plain && self.params.is_greedy() {
            // Nothing changes the order of the tokens; only what is forbidden must
            // not be first.
            let likeliest = argmax(logits);
            if !answer.banned().any(|banned| Some(banned) == likeliest) {
                return Ok(likeliest);
            }
        }
        self.adjust(logits, answer, &mut scratch.logits)?;
        if self.params.is_greedy() {
            return Ok(argmax(&scratch.logits));
        }
        let chance = Chance::new(self.seed, self.position);
        Ok(draw(&scratch.logits, &self.params, chance, &mut scratch.field))
    }

    /// The logits with everything that is asked of them; forbidden tokens get minus infinity.
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
