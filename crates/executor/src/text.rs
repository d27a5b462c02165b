//! Incremental detokenization and stop detection, shared by all engines.
//!
//! An engine creates an [`Answer`] for each sequence, pushes every sampled token, and
//! acts on the [`Verdict`]. Incomplete characters and partial matches of stop
//! sequences are held back here and nowhere else.

mod answer;
mod bytes;
mod reasoning;
mod search;

pub use answer::{Answer, Verdict};
pub use bytes::ByteDecoder;
use hostler_protocol::TokenId;

use crate::TextError;

/// Decodes the tokens of one sequence, one at a time.
pub trait IncrementalDecoder: Send {
    /// The text that `token` completes: empty for a special token, and while a
    /// character is incomplete. The concatenated texts equal
    /// [`TextCodec::decode`](crate::TextCodec::decode) of all the tokens.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn push(&mut self, token: TokenId) -> Result<String, TextError>;

    /// The rest at the end: an incomplete character becomes U+FFFD.
    fn flush(&mut self) -> String;
}
