//! What the parsers of calls have in common.

/// Maximum text of a call before its arguments begin, in bytes. Names have at most 64; the rest
/// allows for whitespace, ids, and arguments that are written before the name.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Maximum length of a name or a key, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// What follows from a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The calls go on.
    More,
    /// The calls end with this character.
    Done,
    /// The calls have ended before: the text since the last one is content.
    Reject,
}

/// How the calls stand when the answer ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Text that is content.
    pub(crate) content: String,
    /// A call is not complete.
    pub(crate) cut: bool,
}

impl Ending {
    /// Between two calls, or behind the last.
    pub(crate) fn complete() -> Self {
        Self::default()
    }

    /// Before the name of a call is known.
    pub(crate) fn nameless(content: String) -> Self {
        Self { content, cut: true }
    }

    /// Within the arguments of a call.
    pub(crate) fn within() -> Self {
        Self { content: String::new(), cut: true }
    }
}

/// A name that a tool can have.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"{}".contains(c))
}
