//! Keeps records on disk: one JSON file each, written beside and moved into place.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::{BenchmarkId, BenchmarkRecord, FORMAT};

/// Held while a process uses the folder, so that no other takes what this one has
/// under way for left over.
const LOCK: &str = ".lock";

/// Where records are kept.
#[derive(Debug)]
pub(super) struct Store(Option<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Only the part that says how to read the rest.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Store {
    /// The store in `folder`, with what is there; without one, nothing is kept beyond
    /// the process. So it is where another process has the folder.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub(super) fn open(folder: Option<PathBuf>) -> io::Result<(Self, Vec<BenchmarkRecord>)> {
        let Some(path) = folder else { return Ok((Self(None), Vec::new())) };
        fs::create_dir_all(&path)?;
        let lock = File::create(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(folder = %path.display(), "another Hostler keeps its benchmarks here; results of this one are kept in memory only");
                return Ok((Self(None), Vec::new()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let records = read_all(&path)?;
        Ok((Self(Some(Folder { path, _lock: lock })), records))
    }

    /// Keeps a record, in place of what was kept of it.
    pub(super) fn save(&self, record: &BenchmarkRecord) {
        let Some(folder) = &self.0 else { return };
        if let Err(error) = write(&folder.path, record) {
            tracing::error!(%error, benchmark = %record.id, "cannot keep a benchmark; it will be gone when the server ends");
        }
    }

    /// Forgets a record.
    pub(super) fn remove(&self, id: &BenchmarkId) {
        let Some(folder) = &self.0 else { return };
        if let Err(error) = fs::remove_file(file(&folder.path, id)) {
            tracing::warn!(%error, benchmark = %id, "cannot remove an old benchmark");
        }
    }
}

/// An id is made by this program, or was read out of a file of its name.
fn file(folder: &Path, id: &BenchmarkId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn write(folder: &Path, record: &BenchmarkRecord) -> io::Result<()> {
    let beside = folder.join(format!("{}.tmp", record.id));
    let mut file_beside = File::create(&beside)?;
    file_beside.write_all(&serde_json::to_vec(record)?)?;
    // Moved only once it is whole: after a power failure there is the old one or the new.
    file_beside.sync_all()?;
    fs::rename(&beside, file(folder, &record.id))
}

/// Everything that can be read, in the order of time, which is that of the names.
fn read_all(folder: &Path) -> io::Result<Vec<BenchmarkRecord>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read(&path) {
            Ok(record) => records.push(record),
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "this benchmark cannot be read and is left as it is");
            }
        }
    }
    records.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(records)
}

fn read(path: &Path) -> io::Result<BenchmarkRecord> {
    let bytes = fs::read(path)?;
    let header: Header = serde_json::from_slice(&bytes)?;
    if header.format != FORMAT {
        return Err(io::Error::other(format!("it has format {}; this version reads format {FORMAT}", header.format)));
    }
    let record: BenchmarkRecord = serde_json::from_slice(&bytes)?;
    if path.file_stem().is_none_or(|stem| stem != record.id.as_str()) {
        return Err(io::Error::other(format!("it is of {}, which is not its name", record.id)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Order;

    fn open(folder: &Path) -> (Store, Vec<BenchmarkRecord>) {
        Store::open(Some(folder.to_owned())).expect("the folder can be used")
    }

    fn record() -> BenchmarkRecord {
        BenchmarkRecord::ordered(BenchmarkId::fresh(), Order::default(), 7)
    }

    #[test]
    fn records_survive_in_their_order_until_they_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, none) = open(folder.path());
        assert!(none.is_empty());
        let (first, second) = (record(), record());
        store.save(&second);
        store.save(&first);
        drop(store);
        let (store, kept) = open(folder.path());
        assert_eq!(kept, [first.clone(), second.clone()]);
        store.remove(&first.id);
        drop(store);
        assert_eq!(open(folder.path()).1, [second]);
    }

    #[test]
    fn what_is_broken_or_newer_is_passed_over_and_left() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("bench-1.json", "{"), ("bench-2.json", "{\"format\": 99}"), ("bench-3.tmp", "x")] {
            fs::write(folder.path().join(name), text).expect("it is writable");
        }
        assert!(open(folder.path()).1.is_empty());
        assert!(folder.path().join("bench-1.json").exists());
    }

    #[test]
    fn a_folder_belongs_to_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, _) = open(folder.path());
        let kept = record();
        first.save(&kept);
        let (second, seen) = open(folder.path());
        assert!(seen.is_empty() && second.0.is_none());
        second.save(&record());
        drop((first, second));
        assert_eq!(open(folder.path()).1, [kept]);
    }
}
