//! The output of a request: a stream of [`TokenEvent`]s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{RequestError, TokenId};

/// One event of a generation.
///
/// Every stream is `Started? Token* (Finished | Failed)`: it ends with exactly one of
/// the last two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TokenEvent {
    /// The request has left the queue and the engine has started it.
    Started(Started),
    /// One generated token.
    Token(Token),
    /// The generation succeeded.
    Finished(Finish),
    /// The generation ended with an error.
    Failed(RequestError),
}

/// What is known when the engine starts a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
}

/// One generated token and the text that it completes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its index in the vocabulary.
    pub id: TokenId,
    /// Text that can be shown now. Empty while a character is incomplete or the text
    /// may be the start of a stop sequence.
    pub text: String,
    /// Its log probability and the likeliest alternatives, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<Logprob>,
}

/// Log probabilities at one position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// Natural logarithm of the sampled token's probability.
    pub logprob: f32,
    /// The likeliest tokens with their log probabilities, likeliest first.
    pub top: Vec<(TokenId, f32)>,
}

/// How a generation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// The last text of the answer, which was held back as a possible stop sequence.
    pub text: String,
    /// The stop sequence that ended the answer, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// Token counts.
    pub usage: Usage,
    /// Time spent in each phase.
    pub timings: Timings,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended the answer, or a stop sequence matched.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
}

impl FinishReason {
    /// The name in OpenAI's API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// Token counts of one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Prompt tokens whose keys and values came from the cache.
    pub cached_tokens: u32,
    /// Generated tokens, without the end-of-sequence token.
    pub completion_tokens: u32,
}

/// Time that one generation spent in each phase. The three add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From submission until the engine started it.
    pub queue: Duration,
    /// From the start until the first token.
    pub prefill: Duration,
    /// From the first token until the end.
    pub decode: Duration,
}
