//! References to models.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::ModelError;
use crate::catalogue::{CATALOGUE, Entry};

/// A reference to a model, by name or path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    /// A name from the catalogue.
    Catalogue(&'static Entry),
    /// A repository of the Hugging Face hub: `owner/name`, `owner/name@revision`,
    /// `owner/name:file.gguf`.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A branch, tag or commit.
        revision: String,
        /// One file of it; `None`: all that an engine needs.
        file: Option<String>,
    },
    /// A GGUF file, or a directory with safetensors and a tokenizer.
    Path(PathBuf),
}

const MAIN: &str = "main";

impl ModelRef {
    /// The name by which clients request the model by default: a catalogue name, a hub id, or
    /// the name of a file without its extension.
    #[must_use]
    pub fn served_name(&self) -> String {
        match self {
            Self::Catalogue(entry) => entry.id.to_owned(),
            Self::Hub { repo, .. } => repo.clone(),
            Self::Path(path) => {
                let name = crate::checksum::file_name(path);
                name.strip_suffix(".gguf").unwrap_or(&name).to_owned()
            }
        }
    }
}

/// A text is a path if the path exists or the text looks like one: it begins with `/`, `.` or
/// `~`, or ends in `.gguf` without a `:`. `owner/name` is a repository of the hub; a single
/// word is a name from the catalogue.
impl FromStr for ModelRef {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(entry) = CATALOGUE.iter().find(|entry| entry.id == text) {
            return Ok(Self::Catalogue(entry));
        }
        let path = PathBuf::from(text);
        let like_a_path = text.starts_with(['/', '.', '~']) || (text.ends_with(".gguf") && !text.contains(':'));
        if like_a_path || path.exists() {
            return Ok(Self::Path(path));
        }
        let refused = |reason: String| ModelError::Reference { name: text.to_owned(), reason };
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file.to_owned())),
            None => (text, None),
        };
        let (repo, revision) = rest.split_once('@').unwrap_or((rest, MAIN));
        match repo.split('/').collect::<Vec<_>>().as_slice() {
            [owner, name] if is_hub_name(owner) && is_hub_name(name) && file.as_deref() != Some("") => {
                Ok(Self::Hub { repo: repo.to_owned(), revision: revision.to_owned(), file })
            }
            [_] => Err(refused(unknown_name(repo))),
            _ => Err(refused("a hub id is owner/name, owner/name@revision or owner/name:file.gguf".to_owned())),
        }
    }
}

fn is_hub_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn unknown_name(name: &str) -> String {
    let nearest = CATALOGUE
        .iter()
        .map(|entry| (strsim::damerau_levenshtein(name, entry.id), entry.id))
        .filter(|(distance, id)| *distance <= id.len() / 3)
        .min();
    match nearest {
        Some((_, id)) => format!("did you mean {id}?"),
        None => {
            let names: Vec<_> = CATALOGUE.iter().map(|entry| entry.id).collect();
            format!("no such file exists, and the catalogue has {}", names.join(", "))
        }
    }
}

/// As users write it.
impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalogue(entry) => f.write_str(entry.id),
            Self::Hub { repo, revision, file } => {
                f.write_str(repo)?;
                if revision != MAIN {
                    write!(f, "@{revision}")?;
                }
                file.iter().try_for_each(|file| write!(f, ":{file}"))
            }
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ModelRef {
        text.parse().expect("it is a model reference")
    }

    #[test]
    fn a_printed_reference_parses_to_the_same_reference() {
        for text in ["smollm2-135m-instruct", "owner/Name", "owner/name@v1", "owner/name@v1:q8.gguf", "/m/x.gguf"] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
    }

    #[test]
    fn the_spelling_decides_the_kind_of_reference() {
        assert!(matches!(parse("smollm2-135m-instruct"), ModelRef::Catalogue(_)));
        assert!(matches!(parse("./folder"), ModelRef::Path(_)));
        assert!(matches!(parse("models/x.gguf"), ModelRef::Path(_)));
        assert!(matches!(parse("owner/name:x.gguf"), ModelRef::Hub { file: Some(_), .. }));
        assert_eq!(parse("/m/Big.Q8_0.gguf").served_name(), "Big.Q8_0");
    }

    #[test]
    fn an_invalid_reference_is_refused_with_a_hint() {
        for (text, hint) in [
            ("smollm2-135m-instuct", "did you mean smollm2-135m-instruct?"),
            ("gpt-5", "the catalogue has"),
            ("a/b/c", "owner/name"),
            ("../../etc:x", "owner/name"),
            ("owner/", "owner/name"),
        ] {
            let Err(error) = text.parse::<ModelRef>() else {
                assert!(text.starts_with('.'), "{text} was taken for a model");
                continue;
            };
            assert!(error.to_string().contains(hint), "{text}: {error}");
        }
    }
}
