//! Stores records on disk: one JSON file each, written to a temporary file and renamed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::{BenchmarkId, BenchmarkRecord, FORMAT};

/// Locked while a process uses the folder, so that another one does not treat its running
/// benchmark as a remnant.
const LOCK: &str = ".lock";

/// The folder of records, if there is one.
#[derive(Debug)]
pub(super) struct Store(Option<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The part of a file that determines how to read the rest.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Store {
    /// Opens the store in `folder` and reads its records. Without a folder, or if another
    /// process uses it, records are not stored.
    ///
    /// # Errors
    /// If the folder cannot be created or read.
    pub(super) fn open(folder: Option<PathBuf>) -> io::Result<(Self, Vec<BenchmarkRecord>)> {
        let Some(path) = folder else { return Ok((Self(None), Vec::new())) };
        fs::create_dir_all(&path)?;
        let lock = File::create(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(folder = %path.display(), "another process uses the folder of benchmark results; keeping results in memory only");
                return Ok((Self(None), Vec::new()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let records = read_all(&path)?;
        Ok((Self(Some(Folder { path, _lock: lock })), records))
    }

    /// Stores a record, replacing its earlier version.
    pub(super) fn save(&self, record: &BenchmarkRecord) {
        let Some(folder) = &self.0 else { return };
        if let Err(error) = write(&folder.path, record) {
            tracing::error!(%error, benchmark = %record.id, "cannot store a benchmark; it will be lost when the process ends");
        }
    }

    /// Removes a record.
    pub(super) fn remove(&self, id: &BenchmarkId) {
        let Some(folder) = &self.0 else { return };
        if let Err(error) = fs::remove_file(file(&folder.path, id)) {
            tracing::warn!(%error, benchmark = %id, "cannot remove a stored benchmark");
        }
    }
}

/// The file of a record. Ids are generated here or read from a file of the same name, so
/// they are valid file names.
fn file(folder: &Path, id: &BenchmarkId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn write(folder: &Path, record: &BenchmarkRecord) -> io::Result<()> {
    let path = folder.join(format!("{}.tmp", record.id));
    let mut temporary = File::create(&path)?;
    temporary.write_all(&serde_json::to_vec(record)?)?;
    // Renamed only when complete: after a power failure there is the old version or the new.
    temporary.sync_all()?;
    fs::rename(&path, file(folder, &record.id))
}

/// All readable records, by time, which is the order of their names.
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
                tracing::warn!(%error, file = %path.display(), "cannot read a stored benchmark; skipping the file");
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
        return Err(io::Error::other(format!(
            "it contains the record of {}, which does not match the file name",
            record.id
        )));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Order;

    fn open(folder: &Path) -> (Store, Vec<BenchmarkRecord>) {
        Store::open(Some(folder.to_owned())).expect("the folder can be used")
    }

    fn record() -> BenchmarkRecord {
        BenchmarkRecord::new(BenchmarkId::generate(), Order::default(), 7)
    }

    #[test]
    fn records_are_stored_in_order_until_they_are_removed() {
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
    fn unreadable_files_are_skipped_and_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("bench-1.json", "{"), ("bench-2.json", "{\"format\": 99}"), ("bench-3.tmp", "x")] {
            fs::write(folder.path().join(name), text).expect("it is writable");
        }
        assert!(open(folder.path()).1.is_empty());
        assert!(folder.path().join("bench-1.json").exists());
    }

    #[test]
    fn a_second_process_does_not_use_the_folder() {
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
