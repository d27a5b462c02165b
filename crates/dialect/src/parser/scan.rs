//! Finds tags in text that arrives one character at a time.

/// Holds text back while it may be the beginning of a tag.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    held: String,
}

impl Scanner {
    /// Takes a character. Appends what is no part of a tag to `text`, and returns the tag that
    /// the character completes.
    pub(crate) fn step<'a>(
        &mut self,
        c: char,
        tags: &(impl Iterator<Item = &'a str> + Clone),
        text: &mut String,
    ) -> Option<&'a str> {
        self.held.push(c);
        loop {
            if let Some(tag) = tags.clone().find(|tag| *tag == self.held) {
                self.held.clear();
                return Some(tag);
            }
            if self.held.is_empty() || tags.clone().any(|tag| tag.starts_with(&self.held)) {
                return None;
            }
            text.push(self.held.remove(0));
        }
    }

    /// Holds the beginning of a tag.
    pub(crate) fn holding(text: &str) -> Self {
        Self { held: text.to_owned() }
    }

    /// The text that is held back.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
