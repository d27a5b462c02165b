//! Errors that occur before a sequence runs.

use hostler_protocol::{ErrorCode, RequestError};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The files are missing or invalid.
    #[error("cannot load the model from {path}: {reason}")]
    Model {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The device does not exist, or this build does not support it.
    #[error("cannot use device {device}: {reason}")]
    Device {
        /// The device, as configured.
        device: String,
        /// Why it cannot be used, and which devices can.
        reason: String,
    },
    /// The engine failed or panicked during loading.
    #[error("the engine failed to load the model: {0}")]
    Engine(String),
}

/// Why text could not be encoded to tokens, or tokens decoded to text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The tokenizer rejected the text.
    #[error("cannot tokenize: {0}")]
    Tokenize(String),
    /// A token id is not in the vocabulary.
    #[error("token id {id} is not in the vocabulary of {vocabulary_size} tokens")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Valid ids are below this.
        vocabulary_size: u32,
    },
    /// The model has no chat template.
    #[error("this model has no chat template; use a completion instead")]
    NoChatTemplate,
    /// The chat template rejected the messages.
    #[error("the model's chat template rejects these messages: {0}")]
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
