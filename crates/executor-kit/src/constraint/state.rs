//! The state of a constrained answer.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::TokenId;
use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

use super::budget::MaskBudget;

/// Bits in one word of llguidance's token sets.
const WORD_BITS: usize = u32::BITS as usize;

/// The tokens that end an answer for llguidance, and those that end it for the model. They
/// may differ.
#[derive(Clone)]
pub(super) struct Endings {
    pub(super) grammar: Arc<[TokenId]>,
    pub(super) model: Arc<[TokenId]>,
}

/// The state of an answer in its constraint.
pub struct ConstraintState {
    pub(super) matcher: Matcher,
    pub(super) endings: Endings,
    pub(super) budget: MaskBudget,
}

impl Clone for ConstraintState {
    /// A deep copy, so that two answers do not contend for a lexer.
    fn clone(&self) -> Self {
        Self { matcher: self.matcher.deep_clone(), endings: self.endings.clone(), budget: self.budget }
    }
}

impl ConstraintState {
    /// Sets the logits of all tokens that are not allowed next to minus infinity. When the
    /// constraint is satisfied, only an end of sequence is allowed.
    ///
    /// # Errors
    /// The parser's message, if it fails; or the masks take too long.
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<(), String> {
        let begun = Instant::now();
        let mut allowed = self.matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
        self.endings.translate(&mut allowed);
        mask_all_but(&allowed, logits);
        self.budget.pay(begun.elapsed())
    }

    /// Advances the state by a token.
    ///
    /// # Errors
    /// The parser's message, if it fails.
    pub(crate) fn accept(&mut self, id: TokenId) -> Result<(), String> {
        // An end of sequence ends the answer, even if the grammar could accept the token.
        if self.matcher.is_stopped() || self.endings.model.contains(&id) {
            return Ok(());
        }
        self.matcher.consume_token(id).map_err(|error| error.to_string())
    }
}

impl Endings {
    /// Allows all end tokens of the model if the grammar can end here, and none otherwise.
    fn translate(&self, allowed: &mut SimpleVob) {
        let may_end = self.grammar.iter().any(|&end| allowed.get(end as usize));
        for &end in &*self.grammar {
            allowed.disallow_token(end);
        }
        for &end in &*self.model {
            if may_end {
                allowed.allow_token(end);
            } else {
                allowed.disallow_token(end);
            }
        }
    }
}

fn mask_all_but(allowed: &SimpleVob, logits: &mut [f32]) {
    let words = allowed.as_slice();
    for (index, chunk) in logits.chunks_mut(WORD_BITS).enumerate() {
        match words.get(index).copied().unwrap_or(0) {
            u32::MAX => {}
            0 => chunk.fill(f32::NEG_INFINITY),
            word => {
                for (bit, logit) in chunk.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(size: usize, tokens: &[TokenId]) -> SimpleVob {
        let mut allowed = SimpleVob::alloc(size);
        for &id in tokens {
            allowed.allow_token(id);
        }
        allowed
    }

    #[test]
    fn only_allowed_tokens_keep_their_logits() {
        let mut logits = vec![1.0_f32; 110];
        mask_all_but(&set(70, &[0, 31, 32, 69]), &mut logits);
        let left: Vec<usize> = (0..110).filter(|&id| logits[id] == 1.0).collect();
        assert_eq!(left, [0, 31, 32, 69]);
    }

    #[test]
    fn the_end_tokens_of_the_grammar_become_those_of_the_model() {
        let endings = Endings { grammar: [0].into(), model: [2, 5].into() };
        let mut may_end = set(8, &[0, 3]);
        endings.translate(&mut may_end);
        assert_eq!(may_end.to_list(), [2, 3, 5]);
        let mut must_continue = set(8, &[2, 3]);
        endings.translate(&mut must_continue);
        assert_eq!(must_continue.to_list(), [3]);
    }
}
