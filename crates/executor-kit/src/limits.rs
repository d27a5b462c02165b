//! Validation of sequences before they run.

use hostler_executor::Sequence;
use hostler_protocol::{RequestError, TokenId};

/// Largest `top_logprobs`, as in OpenAI's API.
pub const TOP_LOGPROBS_MAX: u32 = 20;

/// The limits of a loaded model.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum tokens of one sequence, prompt and answer together.
    pub context_length: u32,
    /// Token ids are below this.
    pub vocabulary_size: u32,
}

impl Limits {
    /// Rejects a sequence that can never run.
    ///
    /// # Errors
    /// `InvalidRequest`, with the name of the field.
    pub fn check(&self, sequence: &Sequence) -> Result<(), RequestError> {
        let context = self.context_length as usize;
        let length = sequence.tokens.len();
        if sequence.answered >= length {
            return Err(RequestError::invalid("prompt", "the prompt is empty; at least 1 token is needed"));
        }
        if length >= context {
            let message = format!(
                "the prompt has {length} tokens; this model's context of {context} tokens has no room for an answer"
            );
            return Err(RequestError::invalid("prompt", message));
        }
        if sequence.max_new_tokens == 0 {
            return Err(RequestError::invalid("max_tokens", "max_tokens is 0; at least 1 token must be generated"));
        }
        let most = context - length;
        if sequence.max_new_tokens as usize > most {
            let requested = sequence.max_new_tokens;
            let message = format!(
                "the prompt of {length} tokens and {requested} tokens to generate exceed the context of {context} tokens; at most {most} can be generated"
            );
            return Err(RequestError::invalid("max_tokens", message));
        }
        self.known("prompt", sequence.tokens.iter().copied())?;
        self.known("logit_bias", sequence.sampling.logit_bias.iter().map(|&(id, _)| id))?;
        if let Some(count) = sequence.top_logprobs.filter(|&count| count > TOP_LOGPROBS_MAX) {
            let message = format!("top_logprobs is {count}; the maximum is {TOP_LOGPROBS_MAX}");
            return Err(RequestError::invalid("top_logprobs", message));
        }
        sequence.sampling.validate()?;
        sequence.stop.validate()
    }

    /// Rejects the text of an embedding that is empty, does not fit into the context, or
    /// has unknown tokens.
    ///
    /// # Errors
    /// `InvalidRequest`, with the field `input`.
    pub fn check_text(&self, tokens: &[TokenId]) -> Result<(), RequestError> {
        let (context, length) = (self.context_length as usize, tokens.len());
        if length == 0 {
            return Err(RequestError::invalid("input", "the text is empty; at least 1 token is needed"));
        }
        if length > context {
            let message = format!("the text has {length} tokens; this model's context holds {context}");
            return Err(RequestError::invalid("input", message));
        }
        self.known("input", tokens.iter().copied())
    }

    fn known(&self, field: &'static str, ids: impl IntoIterator<Item = TokenId>) -> Result<(), RequestError> {
        let size = self.vocabulary_size;
        match ids.into_iter().find(|&id| id >= size) {
            None => Ok(()),
            Some(id) => {
                let message = format!("token id {id} is not in the vocabulary of {size} tokens");
                Err(RequestError::invalid(field, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ErrorCode;

    use super::*;

    const LIMITS: Limits = Limits { context_length: 16, vocabulary_size: 100 };

    fn rejected(change: impl FnOnce(&mut Sequence)) -> String {
        let mut sequence = Sequence::greedy(vec![1, 2, 3], 13);
        assert_eq!(LIMITS.check(&sequence), Ok(()));
        change(&mut sequence);
        let error = LIMITS.check(&sequence).expect_err("it can never run");
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        error.param.expect("the error names the field").into_owned()
    }

    #[test]
    fn invalid_sequences_are_rejected_by_field() {
        assert_eq!(rejected(|s| s.tokens = [].into()), "prompt");
        assert_eq!(rejected(|s| s.answered = 3), "prompt");
        assert_eq!(rejected(|s| s.tokens = vec![1; 16].into()), "prompt");
        assert_eq!(rejected(|s| s.tokens = vec![1, 100].into()), "prompt");
        assert_eq!(rejected(|s| s.max_new_tokens = 14), "max_tokens");
        assert_eq!(rejected(|s| s.max_new_tokens = 0), "max_tokens");
        assert_eq!(rejected(|s| s.sampling.logit_bias = vec![(100, 1.0)]), "logit_bias");
        assert_eq!(rejected(|s| s.sampling.temperature = f32::NAN), "temperature");
        assert_eq!(rejected(|s| s.top_logprobs = Some(21)), "top_logprobs");
        assert_eq!(LIMITS.check_text(&[1; 16]), Ok(()));
        for text in [&[][..], &[1; 17], &[100]] {
            let error = LIMITS.check_text(text).expect_err("it cannot be embedded");
            assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("input")));
        }
        assert_eq!(rejected(|s| s.stop.sequences = vec![String::new()]), "stop");
    }
}
