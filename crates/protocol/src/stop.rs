//! When a generation ends.

use serde::{Deserialize, Serialize};

use crate::{RequestError, TokenId};

/// Most stop sequences of one request. OpenAI takes 4; every one is searched
/// for at every token, so there is a bound, at 16.
const STOP_SEQUENCES_MAX: usize = 16;

/// Longest stop sequence, in bytes. Text of this length may be held back while
/// it could be the beginning of one.
const STOP_SEQUENCE_BYTES_MAX: usize = 1024;

/// The conditions under which a generation ends, whichever comes first. The end
/// of the context always ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopConditions {
    /// Most tokens to generate, `continuation` included; `None`: what the context holds.
    pub max_tokens: Option<u32>,
    /// So many tokens must come before an end-of-sequence or stop token may.
    pub min_tokens: u32,
    /// Texts that end the answer. They are not part of it.
    pub sequences: Vec<String>,
    /// Tokens that end the answer. They are not part of it.
    pub token_ids: Vec<TokenId>,
    /// Go on after an end-of-sequence token: the model may not choose one.
    pub ignore_eos: bool,
}

impl StopConditions {
    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub fn validate(&self) -> Result<(), RequestError> {
        if self.max_tokens == Some(0) {
            return Err(RequestError::invalid("max_tokens", "max_tokens is 0; at least 1 token must be generated"));
        }
        if self.max_tokens.is_some_and(|max| self.min_tokens > max) {
            return Err(RequestError::invalid(
                "min_tokens",
                format!("min_tokens is {}, more than max_tokens allows", self.min_tokens),
            ));
        }
        if self.sequences.len() > STOP_SEQUENCES_MAX {
            return Err(RequestError::invalid(
                "stop",
                format!("stop has {} sequences; at most {STOP_SEQUENCES_MAX} are allowed", self.sequences.len()),
            ));
        }
        for sequence in &self.sequences {
            if sequence.is_empty() || sequence.len() > STOP_SEQUENCE_BYTES_MAX {
                return Err(RequestError::invalid(
                    "stop",
                    format!("a stop sequence has {} bytes; 1 to {STOP_SEQUENCE_BYTES_MAX} are allowed", sequence.len()),
                ));
            }
        }
        if self.token_ids.len() > STOP_SEQUENCES_MAX {
            return Err(RequestError::invalid(
                "stop_token_ids",
                format!("stop_token_ids has {} ids; at most {STOP_SEQUENCES_MAX} are allowed", self.token_ids.len()),
            ));
        }
        Ok(())
    }
}
