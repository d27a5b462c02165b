//! Where a model's files are, in the terms of mistral.rs's loaders.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mistralrs::core::{
    GGUFLoaderBuilder, GGUFSpecificConfig, Loader, NormalLoaderBuilder, NormalSpecificConfig, TokenSource,
    hf_hub_cache_dir,
};

use crate::ModelSource;

/// A source that has been looked at.
pub(crate) struct Located {
    /// A folder, or the id of a repository.
    repository: String,
    pub(crate) revision: Option<String>,
    /// The one file that counts; `None`: safetensors.
    gguf: Option<String>,
    on_hub: bool,
}

impl ModelSource {
    /// Looks whether the files are there that must be there.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn locate(&self) -> Result<Located, String> {
        match self {
            Self::Gguf(file) => {
                if !file.is_file() {
                    return Err("there is no such file".to_owned());
                }
                let name = file.file_name().ok_or("it is not the path of a file")?;
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
                        return Err(format!("there is no {needed} in it"));
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

    /// # Errors
    /// What mistral.rs has against it.
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

    /// A private repository is read with the token that the hub's own tools have stored.
    pub(crate) fn token_source(&self) -> TokenSource {
        if self.on_hub { TokenSource::CacheToken } else { TokenSource::None }
    }

    /// The file or folder that the weights are in. For a repository, once it has been
    /// fetched.
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
    text.to_str().map(str::to_owned).ok_or_else(|| "mistral.rs takes only paths that are UTF-8".to_owned())
}

/// As error messages name it.
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
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |source: ModelSource| source.locate().err().expect("files are missing");
        assert!(refused(ModelSource::Gguf(folder.path().join("m.gguf"))).contains("no such file"));
        assert!(refused(ModelSource::Folder(folder.path().to_owned())).contains("config.json"));
        fs::write(folder.path().join("config.json"), "{}").expect("a file");
        assert!(refused(ModelSource::Folder(folder.path().to_owned())).contains("tokenizer.json"));
    }

    #[test]
    fn a_file_is_found_in_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("m.gguf");
        fs::write(&file, "").expect("a file");
        let located = ModelSource::Gguf(file.clone()).locate().expect("it is there");
        assert!(located.is_gguf());
        assert_eq!(located.weights(), Some(file));
    }
}
