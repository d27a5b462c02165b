//! Generated ids to text that can be shown, the same for every engine.
//!
//! An engine gives each sequence an [`Answer`], pushes every token that the model
//! chose, and does what the [`Verdict`] says. Incomplete characters and possible
//! beginnings of stop sequences are held back here, and nowhere else.

mod answer;
mod bytes;
mod search;

pub use answer::{Answer, Verdict};
pub use bytes::ByteDecoder;
use hostler_protocol::TokenId;

use crate::TextError;

/// A tokenizer's decoder that takes one token at a time. One per sequence.
pub trait IncrementalDecoder: Send {
    /// The text that `token` completes: empty for a special token, and while a
    /// character is incomplete. Joined, the texts are what
    /// [`TextCodec::decode`](crate::TextCodec::decode) makes of all the tokens.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn push(&mut self, token: TokenId) -> Result<String, TextError>;

    /// What is left at the end: an incomplete character becomes U+FFFD.
    fn flush(&mut self) -> String;
}
