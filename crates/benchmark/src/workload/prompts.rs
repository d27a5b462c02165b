//! Where prompts come from.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Length, Trace, words};

/// Prefixes of a group come from streams that no request uses: requests count
/// up from 0, groups down from here.
const PREFIX_STREAM_LAST: u64 = u64::MAX - 1;

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Prompts {
    /// One text for all requests. Servers that cache prefixes read it once.
    Fixed {
        /// The text.
        text: String,
    },
    /// The lines of a file, one after the other, and again from the top.
    File {
        /// Where it was read from.
        path: PathBuf,
        /// SHA-256 of its bytes, in hexadecimal: the file is not part of a result.
        sha256: String,
        /// Its lines, empty ones left out.
        #[serde(skip)]
        lines: Vec<String>,
    },
    /// Random words, one token each in the vocabularies in common use.
    Synthetic {
        /// How many.
        tokens: Length,
    },
    /// Random words whose beginning many requests share: system prompts,
    /// documents that are asked about.
    SharedPrefix {
        /// Words in the shared part.
        prefix_tokens: u32,
        /// How many different shared parts there are; at least 1.
        groups: u32,
        /// Words after it.
        tokens: Length,
    },
    /// Conversations of random words: each turn comes after the answer to the one
    /// before, and carries all that was said.
    Conversation {
        /// Turns of each.
        turns: u32,
        /// Words of the user in each.
        tokens: Length,
    },
    /// As a trace says.
    Trace(Trace),
}

/// A prompt file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptFileError {
    /// It cannot be read.
    #[error("cannot read the prompts in {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not in the format of a trace.
    #[error("{} is no trace: {reason}", path.display())]
    Trace {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is nothing in it.
    #[error("there is no prompt in {}: one is expected on each line", .0.display())]
    Empty(PathBuf),
}

impl Prompts {
    /// Reads a file of prompts, one on each line.
    ///
    /// # Errors
    /// When it cannot be read as text, or holds no prompt.
    pub fn from_file(path: &Path) -> Result<Self, PromptFileError> {
        let text = text_of(path)?;
        let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        if lines.is_empty() {
            return Err(PromptFileError::Empty(path.to_owned()));
        }
        Ok(Self::File { path: path.to_owned(), sha256: sha256(&text), lines })
    }

    /// Reads a trace; see [`TraceRow`](super::TraceRow) for its format.
    ///
    /// # Errors
    /// When it cannot be read as text, or is no trace.
    pub fn from_trace(path: &Path) -> Result<Self, PromptFileError> {
        let text = text_of(path)?;
        let trace = Trace::read(&path.display().to_string(), &text);
        trace.map(Self::Trace).map_err(|reason| PromptFileError::Trace { path: path.to_owned(), reason })
    }

    /// How long the answer to request `index` is, where that goes with its prompt.
    pub(super) fn answer_tokens(&self, index: u64) -> Option<u32> {
        let Self::Trace(trace) = self else { return None };
        Some(trace.row(index)?.output_length)
    }

    /// The prompt of request `index`: its length by the one random source, its words
    /// by the other. What many requests share follows from `seed`.
    pub(super) fn draw(&self, index: u64, seed: u64, lengths: &mut ChaCha8Rng, random: &mut ChaCha8Rng) -> String {
        match self {
            Self::Fixed { text } => text.clone(),
            Self::File { lines, .. } => {
                let line = usize::try_from(index % (lines.len().max(1) as u64)).unwrap_or_default();
                lines.get(line).cloned().unwrap_or_default()
            }
            Self::Synthetic { tokens } | Self::Conversation { tokens, .. } => words::text(tokens.draw(lengths), random),
            Self::Trace(trace) => trace.prompt(index, seed, random),
            Self::SharedPrefix { prefix_tokens, groups, tokens } => {
                let mut shared = ChaCha8Rng::seed_from_u64(seed);
                shared.set_stream(PREFIX_STREAM_LAST - index % u64::from(*groups).max(1));
                let prefix = words::text(*prefix_tokens, &mut shared);
                format!("{prefix} {}", words::text(tokens.draw(lengths), random))
            }
        }
    }
}

fn text_of(path: &Path) -> Result<String, PromptFileError> {
    std::fs::read_to_string(path).map_err(|source| PromptFileError::Read { path: path.to_owned(), source })
}

/// The checksum of a text, in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_prompts_is_refused_by_name() {
        let missing = Path::new("no-such-file.txt");
        let error = Prompts::from_file(missing).expect_err("the file is not there");
        assert!(error.to_string().contains("no-such-file.txt"), "{error}");
    }

    #[test]
    fn lines_are_taken_in_turn() {
        let lines = vec!["one".to_owned(), "two".to_owned()];
        let prompts = Prompts::File { path: "list".into(), sha256: String::new(), lines };
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut lengths = ChaCha8Rng::seed_from_u64(0);
        let drawn: Vec<String> = (0..3).map(|index| prompts.draw(index, 0, &mut lengths, &mut random)).collect();
        assert_eq!(drawn, ["one", "two", "one"]);
    }
}
