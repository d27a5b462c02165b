//! The directory of pulled models. Each model has a subdirectory with a manifest, which is
//! written last.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::AtPath;
use crate::pull::{self, Converter};
use crate::{Installed, ModelError, ModelRef, PullProgress, PullStage};

const MANIFEST: &str = "manifest.json";
const LOCK: &str = ".lock";

/// A store of models. Any number of processes may use one at once.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`, which is created when needed.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's store: `hostler/models` in `$XDG_DATA_HOME`, else in `~/.local/share`.
    /// `None`: neither XDG_DATA_HOME nor HOME is set.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")))?;
        Some(Self::at(data.join("hostler").join("models")))
    }

    /// Its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All pulled models, by name.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Corrupt`] for a manifest that cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, ModelError> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        let mut models = Vec::new();
        for entry in fs::read_dir(&self.root).at(&self.root)? {
            models.extend(manifest(&entry.at(&self.root)?.path())?);
        }
        models.sort_by(|a, b| a.model.cmp(&b.model));
        Ok(models)
    }

    /// What an engine loads for `model`: the pulled files, or the path itself. Detects files that
    /// have changed since they were pulled.
    ///
    /// # Errors
    /// [`ModelError::NotPulled`], [`ModelError::Corrupt`], [`ModelError::Io`].
    pub fn find(&self, model: &ModelRef) -> Result<PathBuf, ModelError> {
        if let ModelRef::Path(path) = model {
            fs::metadata(path).at(path)?;
            return Ok(path.clone());
        }
        let installed = manifest(&self.folder(model))?.ok_or_else(|| ModelError::NotPulled(model.to_string()))?;
        installed.check()?;
        Ok(installed.path)
    }

    /// Downloads `model`, or verifies it if it is already in the store; missing and corrupt
    /// files are downloaded again. Two pulls of one model wait for each other.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn pull(
        &self,
        model: &ModelRef,
        converter: Option<Converter>,
        progress: &dyn PullProgress,
    ) -> Result<Installed, ModelError> {
        let folder = self.folder(model);
        if let ModelRef::Path(_) = model {
            return pull::pull(model, &folder, converter, progress);
        }
        fs::create_dir_all(&folder).at(&folder)?;
        let _lock = lock(&folder.join(LOCK), progress)?;
        if let Some(installed) = self.complete(model, converter.is_some(), progress)? {
            return Ok(installed);
        }
        let installed = pull::pull(model, &folder, converter, progress)?;
        write_manifest(&folder, &installed)?;
        Ok(installed)
    }

    /// The model of an earlier pull, if it is complete.
    fn complete(
        &self,
        model: &ModelRef,
        converted: bool,
        progress: &dyn PullProgress,
    ) -> Result<Option<Installed>, ModelError> {
        let Some(installed) = manifest(&self.folder(model)).unwrap_or_default() else { return Ok(None) };
        if let ModelRef::Catalogue(entry) = model
            && converted
            && !installed.path.ends_with(entry.converted_file)
        {
            return Ok(None);
        }
        match installed.verify(progress) {
            Ok(()) => Ok(Some(installed)),
            Err(ModelError::Corrupt { path, .. }) => {
                if path.exists() {
                    fs::remove_file(&path).at(&path)?;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn folder(&self, model: &ModelRef) -> PathBuf {
        let name = match model {
            // A hub id has exactly one slash, and no other name has "--" in its place.
            ModelRef::Hub { .. } => model.to_string().replace('/', "--"),
            other => other.served_name(),
        };
        self.root.join(name)
    }
}

/// Locks a model's directory until the file is dropped or the process ends.
fn lock(path: &Path, progress: &dyn PullProgress) -> Result<File, ModelError> {
    let file = File::options().create(true).write(true).truncate(false).open(path).at(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.begin(PullStage::Wait, None);
            file.lock().at(path)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).at(path),
    }
    Ok(file)
}

fn manifest(folder: &Path) -> Result<Option<Installed>, ModelError> {
    let path = folder.join(MANIFEST);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A stray file next to the directories.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error).at(&path),
    };
    let corrupt = |error: serde_json::Error| ModelError::Corrupt { path: path.clone(), reason: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(corrupt)
}

/// Writes the manifest atomically: its presence means that the model is complete.
fn write_manifest(folder: &Path, installed: &Installed) -> Result<(), ModelError> {
    let (path, partial) = (folder.join(MANIFEST), folder.join("manifest.partial"));
    let text = serde_json::to_vec_pretty(installed).map_err(std::io::Error::from).at(&path)?;
    fs::write(&partial, text).at(&partial)?;
    fs::rename(&partial, &path).at(&path)
}
