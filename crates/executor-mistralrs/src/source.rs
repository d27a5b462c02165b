//! Locates a model's files for mistral.rs's loaders.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mistralrs::core::{
    GGUFLoaderBuilder, GGUFSpecificConfig, Loader, NormalLoaderBuilder, NormalSpecificConfig, TokenSource,
    hf_hub_cache_dir,
};

use crate::ModelSource;

/// A source whose files were found.
pub(crate) struct Located {
    /// A folder, or the id of a repository.
    repository: String,
    pub(crate) revision: Option<String>,
    /// The GGUF file; `None`: safetensors.
    gguf: Option<String>,
    on_hub: bool,
}

impl ModelSource {
    /// Checks that the necessary files exist.
    ///
    /// # Errors
    /// The missing file.
    pub(crate) fn locate(&self) -> Result<Located, String> {
        match self {
            Self::Gguf(file) => {
                if !file.is_file() {
                    return Err("no such file".to_owned());
                }
                let name = file.file_name().ok_or("not the path of a file")?;
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Ok(Located {
                    repository: utf8(folder.as_os_str())?,
                    revision: None,
                    gguf: Some(utf8(name)?),
                    on_hub: false,
                })
            }
            Self::Folder(folder) => {
                for needed in ["config.json", "tokenizer.json"] {
                    if !folder.join(needed).is_file() {
                        return Err(format!("the folder has no {needed}"));
                    }
                }
                Ok(Located { repository: utf8(folder.as_os_str())?, revision: None, gguf: None, on_hub: false })
            }
            Self::Hub { id, revision, gguf } => {
                Ok(Located { repository: id.clone(), revision: revision.clone(), gguf: gguf.clone(), on_hub: true })
            }
        }
    }
}

impl Located {
    pub(crate) fn is_gguf(&self) -> bool {
        self.gguf.is_some()
    }

    /// Creates mistral.rs's loader.
    ///
    /// # Errors
    /// mistral.rs's message.
    pub(crate) fn loader(&self) -> Result<Box<dyn Loader>, String> {
        let repository = self.repository.clone();
        match &self.gguf {
            Some(file) => {
                let files = vec![file.clone()];
                let config = GGUFSpecificConfig::default();
                Ok(GGUFLoaderBuilder::new(None, None, repository, files, config, false, None).build())
            }
            None => {
                NormalLoaderBuilder::new(NormalSpecificConfig::default(), None, None, Some(repository), false, None)
                    .build(None)
                    .map_err(|error| format!("{error:#}"))
            }
        }
    }

    /// The token for private repositories: the one that the hub's own tools have stored.
    pub(crate) fn token_source(&self) -> TokenSource {
        if self.on_hub { TokenSource::CacheToken } else { TokenSource::None }
    }

    /// The file or folder of the weights; that of a repository after it has been fetched.
    pub(crate) fn weights(&self) -> Option<PathBuf> {
        let folder = if self.on_hub { snapshot(&self.repository)? } else { PathBuf::from(&self.repository) };
        Some(match &self.gguf {
            Some(file) => folder.join(file),
            None => folder,
        })
    }
}

/// The newest copy of a repository in the hub's cache.
fn snapshot(repository: &str) -> Option<PathBuf> {
    let snapshots = hf_hub_cache_dir()?.join(format!("models--{}", repository.replace('/', "--"))).join("snapshots");
    let folders = fs::read_dir(snapshots).ok()?.flatten().map(|entry| entry.path());
    folders.max_by_key(|folder| fs::metadata(folder).and_then(|metadata| metadata.modified()).ok())
}

fn utf8(text: &std::ffi::OsStr) -> Result<String, String> {
    text.to_str().map(str::to_owned).ok_or_else(|| "mistral.rs only supports paths in UTF-8".to_owned())
}

/// The form in error messages.
impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gguf(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Hub { id, gguf: Some(file), .. } => write!(f, "the hub's {id}, {file}"),
            Self::Hub { id, gguf: None, .. } => write!(f, "the hub's {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |source: ModelSource| source.locate().err().expect("files are missing");
        assert!(error(ModelSource::Gguf(folder.path().join("m.gguf"))).contains("no such file"));
        assert!(error(ModelSource::Folder(folder.path().to_owned())).contains("config.json"));
        fs::write(folder.path().join("config.json"), "{}").expect("a file");
        assert!(error(ModelSource::Folder(folder.path().to_owned())).contains("tokenizer.json"));
    }

    #[test]
    fn a_gguf_file_is_located() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("m.gguf");
        fs::write(&file, "").expect("a file");
        let located = ModelSource::Gguf(file.clone()).locate().expect("it exists");
        assert!(located.is_gguf());
        assert_eq!(located.weights(), Some(file));
    }
}
