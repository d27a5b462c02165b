//! Log probabilities, labelled with the text of their tokens.

use hostler_protocol::{ModelId, RequestError, Token, TokenId};
use hostler_router::Router;

/// The least log probability that is reported, because JSON has no −∞. The same as vLLM's.
const LOGPROB_MIN: f32 = -9999.0;

/// A generated token with its log probability and its likeliest alternatives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelledToken {
    pub(crate) token: TokenLogprob,
    pub(crate) top: Vec<TokenLogprob>,
}

/// A token that was generated, or an alternative to one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenLogprob {
    /// The token's bytes, which are not UTF-8 if it is part of a character.
    pub(crate) bytes: Vec<u8>,
    /// Natural logarithm.
    pub(crate) logprob: f32,
}

impl TokenLogprob {
    /// The bytes as text, with U+FFFD for invalid UTF-8.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Labels the tokens that have log probabilities. One lookup in the vocabulary serves all of
/// them.
///
/// # Errors
/// As [`Router::pieces`].
pub(crate) async fn label(
    router: &Router,
    model: &ModelId,
    tokens: &[Token],
) -> Result<Vec<LabelledToken>, RequestError> {
    let ids: Vec<TokenId> = candidates(tokens).map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = router.pieces(model, ids).await?;
    let mut labelled = candidates(tokens)
        .zip(pieces)
        .map(|((_, logprob), bytes)| TokenLogprob { bytes, logprob: logprob.max(LOGPROB_MIN) });
    let counts = tokens.iter().filter_map(|token| token.logprob.as_ref()).map(|logprob| logprob.top.len());
    Ok(counts
        .map_while(|count| {
            Some(LabelledToken { token: labelled.next()?, top: labelled.by_ref().take(count).collect() })
        })
        .collect())
}

/// Every generated token, followed by its alternatives.
fn candidates(tokens: &[Token]) -> impl Iterator<Item = (TokenId, f32)> {
    tokens
        .iter()
        .filter_map(|token| Some((token.id, token.logprob.as_ref()?)))
        .flat_map(|(id, logprob)| std::iter::once((id, logprob.logprob)).chain(logprob.top.iter().copied()))
}
