//! Answers of a given form, by llguidance: JSON schemas, regular expressions, Lark
//! grammars.

use hostler_protocol::{Constraint, RequestError, TokenId};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};

/// Bits in one word of llguidance's token sets.
const WORD_BITS: usize = u32::BITS as usize;

/// Compiles constraints for one model. It holds the vocabulary as a tree, which
/// takes a tenth of a second to build: one for all requests.
pub(crate) struct ConstraintCompiler {
    factory: ParserFactory,
}

impl ConstraintCompiler {
    /// # Errors
    /// What llguidance has against this vocabulary.
    pub(crate) fn new(model: &LlamaModel) -> Result<Self, String> {
        let vocabulary = LlamaSampler::llguidance_tok_env(model);
        let mut factory = ParserFactory::new_simple(&vocabulary).map_err(|error| error.to_string())?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// The state of `constraint` after the part of the answer that is there already.
    ///
    /// # Errors
    /// `InvalidRequest`: it cannot be read, or does not admit that part.
    pub(crate) fn compile(
        &self,
        constraint: &Constraint,
        answered: &[TokenId],
    ) -> Result<ConstraintState, RequestError> {
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => {
                let schema = serde_json::from_str(schema)
                    .map_err(|error| refused(&format!("the JSON schema is not JSON: {error}")))?;
                TopLevelGrammar::from_json_schema(schema)
            }
            Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Constraint::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
        };
        let mut matcher = Matcher::new(self.factory.create_parser(grammar));
        if let Some(error) = matcher.get_error() {
            return Err(refused(&error));
        }
        matcher.consume_tokens(answered).map_err(|error| refused(&error.to_string()))?;
        Ok(ConstraintState { matcher })
    }
}

fn refused(reason: &str) -> RequestError {
    RequestError::invalid("constraint", format!("the constraint cannot be used: {reason}"))
}

/// How far one answer has come in its constraint.
pub(crate) struct ConstraintState {
    matcher: Matcher,
}

impl ConstraintState {
    /// Gives minus infinity to every token that may not come next. Once the
    /// constraint is fulfilled, only an end of sequence may.
    ///
    /// # Errors
    /// What the parser says when it gives up.
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<(), String> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
        forbid_all_but(&allowed, logits);
        Ok(())
    }

    /// The token was chosen.
    ///
    /// # Errors
    /// What the parser says when it gives up.
    pub(crate) fn accept(&mut self, id: TokenId) -> Result<(), String> {
        if self.matcher.is_stopped() {
            return Ok(());
        }
        self.matcher.consume_token(id).map_err(|error| error.to_string())
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

    #[test]
    fn only_what_is_allowed_keeps_its_logit() {
        let mut allowed = SimpleVob::alloc(70);
        for id in [0, 31, 32, 69] {
            allowed.allow_token(id);
        }
        let mut logits = vec![1.0_f32; 110];
        forbid_all_but(&allowed, &mut logits);
        let left: Vec<usize> = (0..110).filter(|&id| logits[id] == 1.0).collect();
        assert_eq!(left, [0, 31, 32, 69]);
    }
}
