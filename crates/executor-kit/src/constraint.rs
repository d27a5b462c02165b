//! Answers of a given form, by llguidance: JSON schemas, regular expressions, Lark
//! grammars.

use std::sync::Arc;

use hostler_protocol::{Constraint, RequestError, TokenId};
use llguidance::api::{GrammarInit, TopLevelGrammar};
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};

/// Bits in one word of llguidance's token sets.
const WORD_BITS: usize = u32::BITS as usize;

/// Of llguidance's log levels, the one that says nothing.
const SILENT: u32 = 0;

/// Compiles constraints for one model. The factory holds the vocabulary as a tree,
/// which takes a tenth of a second to build: one for all requests.
#[derive(Clone)]
pub struct ConstraintCompiler {
    factory: Arc<ParserFactory>,
    endings: Endings,
}

/// What ends an answer: the tokens that llguidance takes for an end, and those that
/// the model uses. They need not agree.
#[derive(Clone)]
struct Endings {
    grammar: Arc<[TokenId]>,
    model: Arc<[TokenId]>,
}

impl ConstraintCompiler {
    /// A compiler for the vocabulary in `factory`, of a model that ends its answers
    /// with one of `end_tokens`.
    #[must_use]
    pub fn new(factory: Arc<ParserFactory>, end_tokens: &[TokenId]) -> Self {
        let grammar = factory.tok_env().tok_trie().eos_tokens().into();
        Self { factory, endings: Endings { grammar, model: end_tokens.into() } }
    }

    /// The state of `constraint` after the part of the answer that is there already.
    ///
    /// # Errors
    /// `InvalidRequest`: it cannot be read, or does not admit that part.
    pub fn compile(&self, constraint: &Constraint, answered: &[TokenId]) -> Result<ConstraintState, RequestError> {
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => {
                let schema = serde_json::from_str(schema)
                    .map_err(|error| refused(&format!("the JSON schema is not JSON: {error}")))?;
                TopLevelGrammar::from_json_schema(schema)
            }
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        };
        let parser = self.factory.create_parser_from_init(GrammarInit::Serialized(grammar), SILENT, SILENT);
        let mut matcher = Matcher::new(parser);
        if let Some(error) = matcher.get_error() {
            return Err(refused(&error));
        }
        matcher.consume_tokens(answered).map_err(|error| refused(&error.to_string()))?;
        Ok(ConstraintState { matcher, endings: self.endings.clone() })
    }
}

fn refused(reason: &str) -> RequestError {
    RequestError::invalid("constraint", format!("the constraint cannot be used: {reason}"))
}

/// How far one answer has come in its constraint.
pub struct ConstraintState {
    matcher: Matcher,
    endings: Endings,
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
