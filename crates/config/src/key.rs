//! A key of the configuration: what it means and what it allows.

use std::fmt;

use crate::KEYS;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted: `server.address`.
    pub path: &'static str,
    /// What it allows.
    pub allowed: Allowed,
    /// What it means, in a sentence or two.
    pub help: &'static str,
}

/// What a key allows.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// Whole numbers of this range.
    Whole(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text of this form; its type checks it.
    Form(&'static str),
    /// Empty by default; a table with keys of the user's or of an engine.
    Table(&'static str),
    /// Left out by default; else text of this form.
    Optional(&'static str),
    /// Left out by default; else whole numbers of this range.
    OptionalWhole(u64, u64),
    /// A list of texts of this form, empty by default.
    List(&'static str),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(min, max) | Self::OptionalWhole(min, max) => write!(f, "{min} to {max}"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
            Self::Form(form) | Self::Table(form) | Self::Optional(form) | Self::List(form) => f.write_str(form),
        }
    }
}

/// The key at `path`. A scheduler's own section (`schedulers.NAME.…`) has the keys
/// of `[scheduler]`; names below `server.api_keys` are the user's.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    let common = match path.strip_prefix("schedulers.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("scheduler.{rest}"),
        None => path.to_owned(),
    };
    let common = if common.starts_with("server.api_keys.") { "server.api_keys" } else { &common };
    KEYS.iter().find(|key| key.path == common)
}
