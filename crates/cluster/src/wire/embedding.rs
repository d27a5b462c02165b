//! Texts, and the vectors that stand for them.

use hostler_protocol::{EmbeddingInput, Embeddings};

use super::Malformed;
use super::proto::{self, embedding_input::Input};

impl From<EmbeddingInput> for proto::EmbeddingInput {
    fn from(input: EmbeddingInput) -> Self {
        let input = match input {
            EmbeddingInput::Text(text) => Input::Text(text),
            EmbeddingInput::Tokens(tokens) => Input::Tokens(proto::Tokens { tokens }),
        };
        Self { input: Some(input) }
    }
}

impl TryFrom<proto::EmbeddingInput> for EmbeddingInput {
    type Error = Malformed;

    fn try_from(message: proto::EmbeddingInput) -> Result<Self, Malformed> {
        match message.input.ok_or_else(|| Malformed::missing("inputs.input"))? {
            Input::Text(text) => Ok(Self::Text(text)),
            Input::Tokens(tokens) => Ok(Self::Tokens(tokens.tokens)),
        }
    }
}

impl From<Embeddings> for proto::Embeddings {
    fn from(own: Embeddings) -> Self {
        let vectors = own.vectors.into_iter().map(|numbers| proto::Vector { numbers }).collect();
        Self { vectors, prompt_tokens: own.prompt_tokens }
    }
}

impl From<proto::Embeddings> for Embeddings {
    fn from(message: proto::Embeddings) -> Self {
        let vectors = message.vectors.into_iter().map(|vector| vector.numbers).collect();
        Self { vectors, prompt_tokens: message.prompt_tokens }
    }
}
