//! What can go wrong before a sequence runs.

use hostler_protocol::{ErrorCode, RequestError};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The files are missing or not what they should be.
    #[error("cannot load the model from {path}: {reason}")]
    Model {
        /// Which file or folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The device is not there, or this build has no support for it.
    #[error("cannot use device {device}: {reason}")]
    Device {
        /// The device, as configured.
        device: String,
        /// Why not, and what would be possible.
        reason: String,
    },
    /// The engine failed while it loaded, a panic included.
    #[error("the engine failed while it loaded the model: {0}")]
    Engine(String),
}

/// Why text could not be turned into tokens, or back.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The tokenizer refused the text.
    #[error("cannot tokenize: {0}")]
    Tokenize(String),
    /// A token id is not in the vocabulary.
    #[error("token id {id} is not in the vocabulary of {vocabulary_size} tokens")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Ids must be below this.
        vocabulary_size: u32,
    },
    /// The model has no chat template.
    #[error("this model has no chat template; use a completion instead")]
    NoChatTemplate,
    /// The chat template refused the messages.
    #[error("the model's chat template refuses these messages: {0}")]
    Template(String),
}

impl From<TextError> for RequestError {
    fn from(error: TextError) -> Self {
        let param = match error {
            TextError::Tokenize(_) => "prompt",
            TextError::UnknownToken { .. } => "tokens",
            TextError::NoChatTemplate | TextError::Template(_) => "messages",
        };
        RequestError { param: Some(param.into()), ..RequestError::new(ErrorCode::InvalidRequest, error.to_string()) }
    }
}
