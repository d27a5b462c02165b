//! Models of the Hugging Face hub. Its client resumes interrupted downloads and reads
//! `HF_TOKEN` and `HF_ENDPOINT`, as other tools do.

use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::{ModelError, PullProgress, PullStage};

/// A downloaded repository.
pub(crate) struct Fetched {
    /// The file or directory that an engine loads.
    pub(crate) path: PathBuf,
    /// Every file.
    pub(crate) files: Vec<PathBuf>,
    /// The commit of the files.
    pub(crate) commit: String,
}

/// Number of retries of a failed download.
const RETRIES: usize = 3;

/// Downloads a repository, or one file of it, into the cache at `folder`.
pub(crate) fn fetch(
    repo: &str,
    revision: &str,
    file: Option<&str>,
    folder: &Path,
    progress: &dyn PullProgress,
) -> Result<Fetched, ModelError> {
    let refused = |reason: String| ModelError::Fetch { model: repo.to_owned(), reason };
    let failed = |error: ApiError| refused(format!("{error}; {HINT}"));
    let api = client(folder).map_err(failed)?;
    let info = api.repo(named(repo, revision)).info().map_err(failed)?;
    let offered: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    let chosen = choose(&offered, file).map_err(refused)?;

    // By commit from here on: a branch may move while its files are downloaded.
    let pinned = named(repo, &info.sha);
    let (remote, cache) = (api.repo(pinned.clone()), Cache::new(folder.to_owned()).repo(pinned));
    let mut files = Vec::with_capacity(chosen.len());
    for name in &chosen {
        let path = match cache.get(name) {
            Some(path) => path,
            None => remote.download_with_progress(name, Reporter { progress, done: 0 }).map_err(failed)?,
        };
        files.push(path);
    }
    let path = match files.as_slice() {
        [only] => only.clone(),
        [first, ..] => first.parent().unwrap_or(folder).to_owned(),
        [] => return Err(refused("it has no files that an engine loads".to_owned())),
    };
    Ok(Fetched { path, files, commit: info.sha })
}

const HINT: &str = "this needs a network that reaches the hub (and HF_TOKEN for private models); \
                    to serve a local model, give its path";

fn named(repo: &str, revision: &str) -> Repo {
    Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned())
}

fn client(folder: &Path) -> Result<Api, ApiError> {
    // The token is read from where other tools store it; only the files go into our store.
    let token = std::env::var("HF_TOKEN").ok().or_else(|| Cache::from_env().token());
    let builder = ApiBuilder::from_env().with_cache_dir(folder.to_owned()).with_token(token);
    builder.with_progress(false).with_retries(RETRIES).build()
}

/// The files of a repository that an engine needs: the requested one, else all
/// safetensors with their configuration and tokenizer, else the only GGUF file.
fn choose(offered: &[String], file: Option<&str>) -> Result<Vec<String>, String> {
    let ggufs: Vec<&str> = offered.iter().map(String::as_str).filter(|name| name.ends_with(".gguf")).collect();
    let listed = || if ggufs.is_empty() { "none".to_owned() } else { ggufs.join(", ") };
    if let Some(file) = file {
        return match offered.iter().find(|name| *name == file) {
            Some(name) => Ok(vec![name.clone()]),
            None => Err(format!("it has no file {file}; its GGUF files are {}", listed())),
        };
    }
    let at_the_top = |name: &&String| !name.contains('/');
    let weights = |name: &&String| name.ends_with(".safetensors");
    if offered.iter().filter(at_the_top).any(|name| weights(&name)) {
        let text = |name: &&String| [".json", ".jinja", ".model", ".txt"].iter().any(|end| name.ends_with(end));
        return Ok(offered.iter().filter(at_the_top).filter(|name| weights(name) || text(name)).cloned().collect());
    }
    match ggufs.as_slice() {
        [only] => Ok(vec![(*only).to_owned()]),
        [] => Err("it has neither safetensors nor GGUF files".to_owned()),
        _ => Err(format!("it has several GGUF files; name one, as in owner/name:FILE: {}", listed())),
    }
}

/// Passes on the progress that the hub's client reports.
struct Reporter<'a> {
    progress: &'a dyn PullProgress,
    done: u64,
}

impl Progress for Reporter<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        self.progress.begin(PullStage::Download(filename.to_owned()), Some(size as u64));
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.progress.advance(self.done);
    }

    fn finish(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &[&str], file: Option<&str>) -> Result<Vec<String>, String> {
        choose(&offered.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), file)
    }

    #[test]
    fn safetensors_are_chosen_with_their_tokenizer_and_nothing_else() {
        let offered = ["README.md", "config.json", "model.safetensors", "onnx/model.onnx", "x.gguf", "tokenizer.json"];
        assert_eq!(
            chosen(&offered, None),
            Ok(vec!["config.json".into(), "model.safetensors".into(), "tokenizer.json".into()])
        );
    }

    #[test]
    fn a_single_gguf_file_is_chosen_and_among_several_one_must_be_named() {
        assert_eq!(chosen(&["a.gguf", "README.md"], None), Ok(vec!["a.gguf".to_owned()]));
        assert_eq!(chosen(&["a.gguf", "b.gguf"], Some("b.gguf")), Ok(vec!["b.gguf".to_owned()]));
        assert!(chosen(&["a.gguf", "b.gguf"], None).is_err_and(|reason| reason.contains("a.gguf, b.gguf")));
        assert!(chosen(&["a.gguf"], Some("c.gguf")).is_err_and(|reason| reason.contains("no file c.gguf")));
        assert!(chosen(&["README.md"], None).is_err());
    }
}
