//! The state of one constrained answer.

use std::sync::Arc;

use hostler_protocol::TokenId;
use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;

/// Bits in one word of llguidance's token sets.
const WORD_BITS: usize = u32::BITS as usize;

/// What ends an answer: the tokens that llguidance takes for an end, and those that
/// the model uses. They need not agree.
#[derive(Clone)]
pub(super) struct Endings {
    pub(super) grammar: Arc<[TokenId]>,
    pub(super) model: Arc<[TokenId]>,
}

/// How far one answer has come in its constraint.
pub struct ConstraintState {
    pub(super) matcher: Matcher,
    pub(super) endings: Endings,
}

impl Clone for ConstraintState {
    /// The copy shares nothing with the original: two answers must not wait for each
    /// other's lexer.
    fn clone(&self) -> Self {
        Self { matcher: self.matcher.deep_clone(), endings: self.endings.clone() }
    }
}

impl ConstraintState {
    /// Gives minus infinity to every token that may not come next. Once the
    /// constraint is fulfilled, only an end of sequence may.
    ///
    /// # Errors
    /// What the parser says when it gives up.
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<(), String> {
        let mut allowed = self.matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
        self.endings.translate(&mut allowed);
        forbid_all_but(&allowed, logits);
        Ok(())
    }

    /// The token was chosen.
    ///
    /// # Errors
    /// What the parser says when it gives up.
    pub(crate) fn accept(&mut self, id: TokenId) -> Result<(), String> {
        // An end is the end, whatever the grammar would call that token.
        if self.matcher.is_stopped() || self.endings.model.contains(&id) {
            return Ok(());
        }
        self.matcher.consume_token(id).map_err(|error| error.to_string())
    }
}

impl Endings {
    /// Where the grammar may end, every end of the model is allowed; where it may
    /// not, none is.
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

fn forbid_all_but(allowed: &SimpleVob, logits: &mut [f32]) {
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
    fn only_what_is_allowed_keeps_its_logit() {
        let mut logits = vec![1.0_f32; 110];
        forbid_all_but(&set(70, &[0, 31, 32, 69]), &mut logits);
        let left: Vec<usize> = (0..110).filter(|&id| logits[id] == 1.0).collect();
        assert_eq!(left, [0, 31, 32, 69]);
    }

    #[test]
    fn the_models_ends_stand_for_the_grammars() {
        let endings = Endings { grammar: [0].into(), model: [2, 5].into() };
        let mut may_end = set(8, &[0, 3]);
        endings.translate(&mut may_end);
        assert_eq!(may_end.to_list(), [2, 3, 5]);
        let mut must_go_on = set(8, &[2, 3]);
        endings.translate(&mut must_go_on);
        assert_eq!(must_go_on.to_list(), [3]);
    }
}
