//! Vectors that stand for texts.

use serde::{Deserialize, Serialize};

use crate::TokenId;

/// One text to find a vector for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingInput {
    /// Plain text; the scheduler that takes it turns it into tokens.
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<TokenId>),
}

/// One vector for each input, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Each of length 1, with as many numbers as the model's
    /// [`embedding_dimensions`](crate::Capabilities::embedding_dimensions).
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs together.
    pub prompt_tokens: u32,
}
