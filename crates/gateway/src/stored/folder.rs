//! The records on disk: one JSON file each, written to a temporary file and renamed. They hold
//! prompts, so only the server's user can read them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{FORMAT, Record};

/// Locked while a process uses the folder.
const LOCK: &str = ".lock";

/// A folder that only this process uses.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens a folder and reads its records, with their sizes. `None` if another process uses it.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Self, Vec<(Record, usize)>)>> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = File::create(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(folder = %path.display(), "another process uses the folder of responses; keeping responses in memory only");
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let records = read_all(path)?;
        Ok(Some((Self { path: path.to_owned(), _lock: lock }, records)))
    }

    /// Stores a record, replacing its earlier version. It survives the process, but not a power
    /// failure that follows immediately: the thread that serves HTTP does not wait for the disk.
    pub(super) fn save(&self, id: &str, json: &[u8]) {
        let write = || {
            let temporary = self.path.join(format!("{id}.tmp"));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(json)?;
            fs::rename(temporary, self.file(id))
        };
        if let Err(error) = write() {
            tracing::error!(%error, response = id, "cannot store a response; it will be lost when the process ends");
        }
    }

    /// Removes a record.
    pub(super) fn remove(&self, id: &str) {
        match fs::remove_file(self.file(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, response = id, "cannot remove a stored response");
            }
            _ => {}
        }
    }

    /// The file of a record, whose id was generated here or read from a file of the same name.
    fn file(&self, id: &str) -> PathBuf {
        self.path.join(format!("{id}.json"))
    }
}

/// All readable records.
fn read_all(folder: &Path) -> io::Result<Vec<(Record, usize)>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read(&path) {
            Ok(record) => records.push(record),
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "cannot read a stored response; skipping the file");
            }
        }
    }
    Ok(records)
}

fn read(path: &Path) -> io::Result<(Record, usize)> {
    let bytes = fs::read(path)?;
    let record: Record = serde_json::from_slice(&bytes)?;
    if record.format != FORMAT {
        return Err(io::Error::other(format!("it has format {}; this version reads {FORMAT}", record.format)));
    }
    if path.file_stem().is_none_or(|stem| stem != record.id.as_str()) {
        return Err(io::Error::other(format!("it contains {}, which does not match the file name", record.id)));
    }
    Ok((record, bytes.len()))
}
