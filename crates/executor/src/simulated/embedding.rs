//! Made-up vectors: a function of the text's tokens, so that the same text always
//! has the same one.

use hostler_protocol::{RequestError, TokenId};

use super::candidates::mix;
use super::codec::VOCABULARY_SIZE;
use crate::TextError;

/// Numbers of a vector: few, so that tests can print them.
pub(super) const DIMENSIONS: u32 = 8;

/// The vector of a text, of length 1.
pub(super) fn embed(tokens: &[TokenId], context_length: u32) -> Result<Vec<f32>, RequestError> {
    if tokens.is_empty() {
        return Err(RequestError::invalid("input", "the text is empty; it must have at least 1 token"));
    }
    if tokens.len() > context_length as usize {
        let length = tokens.len();
        let message = format!("the text has {length} tokens; the context holds {context_length}");
        return Err(RequestError::invalid("input", message));
    }
    if let Some(&id) = tokens.iter().find(|&&id| id >= VOCABULARY_SIZE) {
        return Err(TextError::UnknownToken { id, vocabulary_size: VOCABULARY_SIZE }.into());
    }
    let text = tokens.iter().fold(0, |text, &token| mix(text ^ u64::from(token)));
    // Odd halves of whole numbers are never all zero, so there is a length to divide by.
    let vector: Vec<f32> =
        (0..u64::from(DIMENSIONS)).map(|place| (mix(text ^ mix(place)) % 200) as f32 - 99.5).collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    Ok(vector.into_iter().map(|number| number / length).collect())
}
