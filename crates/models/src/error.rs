//! What can go wrong with a model before an engine sees it.

use std::path::{Path, PathBuf};

/// Why a model is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It names nothing.
    #[error("{name:?} names no model: {reason}")]
    Reference {
        /// What was written.
        name: String,
        /// What would be right.
        reason: String,
    },
    /// It has not been pulled.
    #[error("model {0} is not here; `hostler model pull {0}` fetches it")]
    NotPulled(String),
    /// A file is not what it was when it was pulled, or not what it should be.
    #[error("{path} is corrupt: {reason}; `hostler model pull` replaces it")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be fetched.
    #[error("cannot fetch {model}: {reason}")]
    Fetch {
        /// Which model.
        model: String,
        /// Why not, and what can be done.
        reason: String,
    },
    /// It could not be rewritten in the engine's format.
    #[error("cannot convert {path}: {reason}")]
    Convert {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Names the path that an I/O error is about.
pub(crate) trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T, ModelError>;
}

impl<T> AtPath<T> for Result<T, std::io::Error> {
    fn at(self, path: &Path) -> Result<T, ModelError> {
        self.map_err(|source| ModelError::Io { path: path.to_owned(), source })
    }
}
