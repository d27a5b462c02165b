//! Sources of prompts.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::words::{self, sha256};
use super::{Length, Trace};

/// Shared prefixes use random streams that no request uses: requests count up from 0,
/// groups count down from here.
const PREFIX_STREAM_LAST: u64 = u64::MAX - 1;

/// The source of prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Prompts {
    /// The same text for all requests. Servers with a prefix cache prefill it once.
    Fixed {
        /// The text.
        text: String,
    },
    /// The lines of a file in turn, starting over at the end.
    File {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its bytes, in hexadecimal: results do not contain the lines.
        sha256: String,
        /// Its non-empty lines.
        #[serde(skip)]
        lines: Vec<String>,
    },
    /// Random words, one token each in common vocabularies.
    Synthetic {
        /// Number of words.
        tokens: Length,
    },
    /// Random words after a prefix that many requests share, like a system prompt or a
    /// document.
    SharedPrefix {
        /// Words in the shared prefix.
        prefix_tokens: u32,
        /// Number of different prefixes; at least 1.
        groups: u32,
        /// Words after the prefix.
        tokens: Length,
    },
    /// Conversations of random words: each turn is sent after the previous answer and
    /// contains the whole conversation so far.
    Conversation {
        /// Turns of each conversation.
        turns: u32,
        /// Words of each user message.
        tokens: Length,
    },
    /// Prompts with the lengths and shared blocks of a trace.
    Trace(Trace),
}

/// A file of prompts or a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptFileError {
    /// The file cannot be read.
    #[error("cannot read prompts from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not a valid trace.
    #[error("{} is not a trace: {reason}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The file has no prompts.
    #[error("{} contains no prompts: one prompt per line is expected", .0.display())]
    Empty(PathBuf),
}

impl Prompts {
    /// Reads a file of prompts, one per line.
    ///
    /// # Errors
    /// If the file is not readable text or contains no prompt.
    pub fn from_file(path: &Path) -> Result<Self, PromptFileError> {
        let text = read_text(path)?;
        let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        if lines.is_empty() {
            return Err(PromptFileError::Empty(path.to_owned()));
        }
        Ok(Self::File { path: path.to_owned(), sha256: sha256(&text), lines })
    }

    /// Reads a trace; see [`TraceRow`](super::TraceRow) for its format.
    ///
    /// # Errors
    /// If the file is not readable text or not a trace.
    pub fn from_trace(path: &Path) -> Result<Self, PromptFileError> {
        let text = read_text(path)?;
        let trace = Trace::read(&path.display().to_string(), &text);
        trace.map(Self::Trace).map_err(|reason| PromptFileError::Trace { path: path.to_owned(), reason })
    }

    /// Output tokens of request `index`, if the source defines them.
    pub(super) fn answer_tokens(&self, index: u64) -> Option<u32> {
        let Self::Trace(trace) = self else { return None };
        Some(trace.row(index)?.output_length)
    }

    /// The prompt of request `index`. `lengths` draws its length, `random` its words;
    /// shared parts follow from `seed`.
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

fn read_text(path: &Path) -> Result<String, PromptFileError> {
    std::fs::read_to_string(path).map_err(|source| PromptFileError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_in_the_error() {
        let missing = Path::new("no-such-file.txt");
        let error = Prompts::from_file(missing).expect_err("the file is not there");
        assert!(error.to_string().contains("no-such-file.txt"), "{error}");
    }

    #[test]
    fn lines_are_used_in_turn() {
        let lines = vec!["one".to_owned(), "two".to_owned()];
        let prompts = Prompts::File { path: "list".into(), sha256: String::new(), lines };
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut lengths = ChaCha8Rng::seed_from_u64(0);
        let drawn: Vec<String> = (0..3).map(|index| prompts.draw(index, 0, &mut lengths, &mut random)).collect();
        assert_eq!(drawn, ["one", "two", "one"]);
    }
}
