//! Files that are read again when they change: keys and certificates.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

/// How often the files are looked at. They are read only if they have changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Differs between two versions of a file: its inode, its size, and when it was modified.
pub(super) type Version = (u64, u64, i64, i64);

/// The version of a file; `None` if there is none.
pub(super) fn version(path: &Path) -> Option<Version> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Calls `look`, which may block, from time to time, for ever.
pub(crate) async fn watch(look: Arc<dyn Fn() + Send + Sync>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let look = Arc::clone(&look);
        // It fails if the process ends.
        if web::block(move || look()).await.is_err() {
            return;
        }
    }
}
