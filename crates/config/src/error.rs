//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is no valid TOML: {reason}")]
    Syntax {
        /// Which file.
        path: String,
        /// Where, and what was expected there.
        reason: String,
    },
    /// Keys or values are not allowed. All that were found, one a line.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
}

/// One key that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted: `scheduler.max_batch_size`.
    pub key: String,
    /// Who set it: a file, an environment variable, the command line.
    pub origin: Option<String>,
    /// The value, what is wrong with it, and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{}: {} (set by {origin})", self.key, self.message),
            None => write!(f, "{}: {}", self.key, self.message),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Which of `candidates` a misspelt `word` probably stands for: the nearest, if at
/// most a third of it differs.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}
