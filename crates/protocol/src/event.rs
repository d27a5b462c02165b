//! What comes back for a request: a stream of [`TokenEvent`]s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{RequestError, TokenId};

/// One event of a generation.
///
/// Every stream is `Started? Token* (Finished | Failed)`: it ends with exactly
/// one of the last two, and never in silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TokenEvent {
    /// The engine has taken the request out of the queue.
    Started(Started),
    /// One generated token.
    Token(Token),
    /// The generation ended as it should.
    Finished(Finish),
    /// The generation ended in an error.
    Failed(RequestError),
}

/// What is known when the engine begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
}

/// One generated token, and the text that it completes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its index in the vocabulary.
    pub id: TokenId,
    /// Text that can be shown now. Empty while a character is incomplete, or
    /// while a stop sequence may be beginning.
    pub text: String,
    /// Its log probability and the likeliest alternatives, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprob: Option<Logprob>,
}

/// Log probabilities at one position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// Natural logarithm of the sampled token's probability.
    pub logprob: f32,
    /// The likeliest tokens with their natural logarithms, likeliest first.
    pub top: Vec<(TokenId, f32)>,
}

/// How a generation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// Text that was held back and belongs to the answer after all.
    pub text: String,
    /// How many tokens went in and came out.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop sequence was met.
    Stop,
    /// `max_tokens`, or the end of the context, was reached.
    Length,
}

impl FinishReason {
    /// As OpenAI's API spells it.
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
    /// Those of them whose keys and values were reused, not computed.
    pub cached_tokens: u32,
    /// Tokens generated, an end-of-sequence token not counted.
    pub completion_tokens: u32,
}

/// Where the time of one generation went. The three add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From submission until the engine began.
    pub queue: Duration,
    /// From there until the first token.
    pub prefill: Duration,
    /// From the first token until the end.
    pub decode: Duration,
}
