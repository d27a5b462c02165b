//! When a generation ends.

use serde::{Deserialize, Serialize};

use crate::{RequestError, TokenId};

/// Maximum stop sequences per request. OpenAI allows 4; each one is searched for at
/// every token, so there is a limit, at 16.
const STOP_SEQUENCES_MAX: usize = 16;

/// Maximum length of a stop sequence, in bytes. Text of up to this length is held back
/// while it may be the start of a stop sequence.
const STOP_SEQUENCE_BYTES_MAX: usize = 1024;

/// The conditions that end a generation, whichever is met first. The end of the
/// context always ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopConditions {
    /// Maximum tokens to generate, `continuation` included; `None`: as many as the
    /// context holds.
    pub max_tokens: Option<u32>,
    /// Minimum tokens before an end-of-sequence or stop token is allowed.
    pub min_tokens: u32,
    /// Texts that end the answer; not included in it.
    pub sequences: Vec<String>,
    /// The reasoning, in which `sequences` end nothing. The scheduler sets it, because it depends
    /// on the model; it is not part of a request between nodes.
    #[serde(skip)]
    pub reasoning: Option<ReasoningSpan>,
    /// Tokens that end the answer; not included in it.
    pub token_ids: Vec<TokenId>,
    /// Never sample an end-of-sequence token.
    pub ignore_eos: bool,
}

/// The beginning of an answer that is reasoning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningSpan {
    /// The tag that begins it, before any other text.
    pub open: String,
    /// The tag that ends it.
    pub close: String,
    /// The prompt ends with the tag that begins it.
    pub is_open: bool,
}

impl StopConditions {
    /// Validates what does not depend on a model.
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
