//! Embeddings: vectors that represent texts.

use serde::{Deserialize, Serialize};

use crate::{TenantId, TokenId};

/// Texts to embed for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// Whom the request is accounted to.
    pub tenant: TenantId,
    /// The texts.
    pub inputs: Vec<EmbeddingInput>,
}

/// One text to embed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingInput {
    /// Plain text; the scheduler tokenizes it.
    Text(String),
    /// Token ids, used as given.
    Tokens(Vec<TokenId>),
}

/// One vector per input, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Normalised to length 1; each has
    /// [`embedding_dimensions`](crate::Capabilities::embedding_dimensions) numbers.
    pub vectors: Vec<Vec<f32>>,
    /// Total tokens of all inputs.
    pub prompt_tokens: u32,
}
