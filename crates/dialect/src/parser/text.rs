//! Content and reasoning, up to the first tag of a call.

use super::json::is_space;
use super::scan::Scanner;
use crate::event::Output;
use crate::format::{Shape, Tags};

/// Maximum whitespace that is held back because a tag may follow, in bytes.
const SPACE_BYTES_MAX: usize = 1024;

/// Reads text outside calls.
#[derive(Debug)]
pub(crate) struct Text {
    shape: Option<&'static Shape>,
    reasoning: Option<&'static Tags>,
    in_reasoning: bool,
    /// The answer has content already: tags of reasoning are text from here on.
    has_content: bool,
    /// Whitespace that belongs to a tag is dropped.
    after_tag: bool,
    space: String,
    scanner: Scanner,
    /// The tags that may come.
    tags: Vec<&'static str>,
}

/// What ends the text, with the whitespace before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The tag of calls.
    Calls(String),
    /// An object at the beginning, which may be a call.
    Object(String),
}

impl Text {
    pub(crate) fn new(
        shape: Option<&'static Shape>,
        reasoning: Option<&'static Tags>,
        starts_in_reasoning: bool,
    ) -> Self {
        let in_reasoning = starts_in_reasoning && reasoning.is_some();
        let mut text = Self {
            shape,
            reasoning,
            in_reasoning,
            has_content: false,
            after_tag: in_reasoning,
            space: String::new(),
            scanner: Scanner::default(),
            tags: Vec::new(),
        };
        text.expect();
        text
    }

    /// Sets the tags that may come.
    fn expect(&mut self) {
        self.tags.clear();
        if let Some(tags) = self.reasoning {
            if self.in_reasoning {
                self.tags.push(tags.close);
                return;
            }
            if !self.has_content {
                self.tags.extend([tags.open, tags.close]);
            }
            self.tags.extend(tags.answer);
        }
        self.tags.extend(self.shape.and_then(Shape::open));
    }

    /// Takes a character. Returns what begins with it, if that is not text.
    pub(crate) fn step(&mut self, c: char, out: &mut Output) -> Option<Found> {
        let mut text = String::new();
        let tag = self.scanner.step(c, &self.tags.iter().copied(), &mut text);
        for c in text.chars() {
            if c == '{' && self.may_be_bare() {
                return Some(Found::Object(std::mem::take(&mut self.space) + "{"));
            }
            self.text(c, out);
        }
        self.tag(tag?)
    }

    fn may_be_bare(&self) -> bool {
        let is_bare = matches!(self.shape, Some(Shape::Objects(objects)) if objects.bare);
        is_bare && !self.in_reasoning && !self.has_content
    }

    fn text(&mut self, c: char, out: &mut Output) {
        if is_space(c) {
            if !self.after_tag {
                self.space.push(c);
                if self.space.len() > SPACE_BYTES_MAX {
                    self.flush(out);
                }
            }
            return;
        }
        self.space.push(c);
        self.flush(out);
    }

    /// Emits what is held back.
    fn flush(&mut self, out: &mut Output) {
        if self.in_reasoning {
            out.reasoning(&self.space);
        } else {
            out.content(&self.space);
            if !self.has_content {
                self.has_content = true;
                self.expect();
            }
        }
        self.space.clear();
        self.after_tag = false;
    }

    fn tag(&mut self, tag: &'static str) -> Option<Found> {
        let space = std::mem::take(&mut self.space);
        if !self.in_reasoning && self.shape.and_then(Shape::open) == Some(tag) {
            return Some(Found::Calls(space + tag));
        }
        self.in_reasoning = self.reasoning.is_some_and(|tags| tags.open == tag);
        self.after_tag = true;
        self.expect();
        None
    }

    /// The calls have ended.
    pub(crate) fn after_calls(&mut self) {
        self.after_tag = true;
    }

    /// What seemed to be a call is content, except for the beginning of a tag at its end.
    pub(crate) fn give_back(&mut self, raw: &str, out: &mut Output) {
        self.has_content = true;
        self.expect();
        let begins_tag = |rest: &str| self.tags.iter().any(|tag| tag.starts_with(rest));
        let end = raw.char_indices().map(|(at, _)| at).find(|&at| begins_tag(&raw[at..])).unwrap_or(raw.len());
        out.content(&raw[..end]);
        self.scanner = Scanner::holding(&raw[end..]);
        self.after_tag = false;
    }

    /// The answer has ended.
    pub(crate) fn finish(&mut self, out: &mut Output) {
        self.space.push_str(&self.scanner.take());
        self.flush(out);
    }
}
