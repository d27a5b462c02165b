//! A model in the store, and how changes to its files are detected.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::AtPath;
use crate::{ModelError, PullProgress, checksum};

/// A pulled model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The name by which it was pulled.
    pub model: String,
    /// What an engine loads: a GGUF file or a directory.
    pub path: PathBuf,
    /// Where it came from: `pypi:PACKAGE==VERSION`, `hub:OWNER/NAME@COMMIT`.
    pub source: String,
    /// SPDX name of its licence, if known.
    pub license: Option<String>,
    /// Its files.
    pub files: Vec<FileRecord>,
}

/// A file as it was when it was pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Modification time, in nanoseconds since 1970. A file of the same size and time counts
    /// as unchanged: to read tens of gigabytes at every start would take minutes.
    pub(crate) modified_ns: u128,
}

impl Installed {
    /// Size of all its files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Checks that its files are unchanged. Reads those whose size or time has changed.
    ///
    /// # Errors
    /// [`ModelError::Corrupt`] names the first file that has changed.
    pub fn check(&self) -> Result<(), ModelError> {
        self.files.iter().try_for_each(|file| if file.looks_unchanged()? { Ok(()) } else { file.verify(&()) })
    }

    /// Checks that its files are unchanged. Reads all of them.
    ///
    /// # Errors
    /// [`ModelError::Corrupt`] names the first file that has changed.
    pub fn verify(&self, progress: &dyn PullProgress) -> Result<(), ModelError> {
        self.files.iter().try_for_each(|file| file.verify(progress))
    }
}

impl FileRecord {
    /// Records a file that has just been written.
    pub(crate) fn of(path: &Path, progress: &dyn PullProgress) -> Result<Self, ModelError> {
        let (bytes, modified_ns) = stamp(path)?;
        Ok(Self { path: path.to_owned(), sha256: checksum::sha256(path, progress)?, bytes, modified_ns })
    }

    fn looks_unchanged(&self) -> Result<bool, ModelError> {
        match stamp(&self.path) {
            Ok(stamp) => Ok(stamp == (self.bytes, self.modified_ns)),
            Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn verify(&self, progress: &dyn PullProgress) -> Result<(), ModelError> {
        let corrupt = |reason: String| ModelError::Corrupt { path: self.path.clone(), reason };
        if !self.path.exists() {
            return Err(corrupt("it is missing".to_owned()));
        }
        let (bytes, _) = stamp(&self.path)?;
        if bytes != self.bytes {
            return Err(corrupt(format!("it has {bytes} bytes instead of {}", self.bytes)));
        }
        let sha256 = checksum::sha256(&self.path, progress)?;
        if sha256 != self.sha256 {
            return Err(corrupt(format!("its SHA-256 is {sha256} instead of {}", self.sha256)));
        }
        Ok(())
    }
}

/// Size and modification time.
fn stamp(path: &Path) -> Result<(u64, u128), ModelError> {
    let metadata = fs::metadata(path).at(path)?;
    let modified = metadata.modified().at(path)?;
    Ok((metadata.len(), modified.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos())))
}
