//! Errors of naming, finding and pulling a model.

use std::path::{Path, PathBuf};

/// An error of naming, finding or pulling a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The name is not a model reference.
    #[error("{name:?} is not a model: {reason}")]
    Reference {
        /// The name.
        name: String,
        /// Why, and what is allowed.
        reason: String,
    },
    /// It has not been pulled.
    #[error("model {0} is not in the store; `hostler model pull {0}` downloads it")]
    NotPulled(String),
    /// A file has changed since it was pulled, or has the wrong checksum.
    #[error("{path} is corrupt: {reason}; `hostler model pull` replaces it")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The download failed.
    #[error("cannot download {model}: {reason}")]
    Fetch {
        /// The model.
        model: String,
        /// Why, and what can be done.
        reason: String,
    },
    /// The conversion to the engine's format failed.
    #[error("cannot convert {path}: {reason}")]
    Convert {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// Adds the path to an I/O error.
pub(crate) trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T, ModelError>;
}

impl<T> AtPath<T> for Result<T, std::io::Error> {
    fn at(self, path: &Path) -> Result<T, ModelError> {
        self.map_err(|source| ModelError::Io { path: path.to_owned(), source })
    }
}
