//! SHA-256 of files.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::AtPath;
use crate::{ModelError, PullProgress, PullStage};

/// Large enough for few system calls, small enough for a core's cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// The checksum of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path, progress: &dyn PullProgress) -> Result<String, ModelError> {
    let mut file = File::open(path).at(path)?;
    let total = file.metadata().at(path)?.len();
    progress.begin(PullStage::Verify(file_name(path)), Some(total));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut done = 0;
    loop {
        let read = file.read(&mut buffer).at(path)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        done += read as u64;
        progress.advance(done);
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// The checksum of a file, in hexadecimal.
///
/// # Errors
/// [`ModelError::Io`].
pub fn of_file(path: &Path) -> Result<String, ModelError> {
    sha256(path, &())
}

/// The last part of a path, for messages.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_known_text_is_right() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").expect("it is writable");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path, &()).expect("it is readable"), expected);
    }
}
