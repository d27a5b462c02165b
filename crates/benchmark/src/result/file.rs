//! Results as files of JSON.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{BenchmarkResult, FORMAT};

/// A file of results that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not a result.
    #[error("{} is not a benchmark result: {source}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It was written by another version.
    #[error("{} has format {found}; this version reads format {FORMAT}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// The format that it says it has.
        found: u32,
    },
}

/// Only the part that says how to read the rest.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// Reads a result.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<BenchmarkResult, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let json = |source| FileError::Json { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let header: Header = serde_json::from_str(&text).map_err(json)?;
    if header.format != FORMAT {
        return Err(FileError::Format { path: path.to_owned(), found: header.format });
    }
    serde_json::from_str(&text).map_err(json)
}

/// Writes a result, in place of what is there.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(path: &Path, result: &BenchmarkResult) -> Result<(), FileError> {
    let text =
        serde_json::to_string_pretty(result).map_err(|source| FileError::Json { path: path.to_owned(), source })?;
    std::fs::write(path, text + "\n").map_err(|source| FileError::Io { path: path.to_owned(), source })
}
