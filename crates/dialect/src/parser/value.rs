//! Values of arguments that are written between tags, converted to JSON.

use serde_json::Value as Json;

use super::json::{escape, quote};
use crate::format::Kind;
use crate::tool::{allows, is_string};

/// Maximum length of a value that is no string, in bytes: it is converted when it is complete.
/// A longer one is passed on as a string.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A value that is being read.
#[derive(Debug)]
pub(crate) struct ArgumentValue {
    kind: Kind,
    schema: Option<Json>,
    /// Drop a line break at the beginning and one at the end.
    lines: bool,
    /// The value is a string, of which the beginning has been written.
    in_string: bool,
    /// Whether a string may begin with the line break that is dropped.
    at_start: bool,
    text: String,
}

impl ArgumentValue {
    /// A value for an argument with this schema.
    pub(crate) fn new(kind: Kind, schema: Option<&Json>, lines: bool) -> Self {
        let kind = match kind {
            Kind::BySchema if schema.is_some_and(is_string) => Kind::Text,
            kind => kind,
        };
        let schema = schema.filter(|_| kind == Kind::BySchema).cloned();
        Self { kind, schema, lines, in_string: false, at_start: true, text: String::new() }
    }

    /// Takes text, and returns what can be written of it.
    pub(crate) fn push(&mut self, text: &str) -> String {
        self.text.push_str(text);
        if self.kind == Kind::Text || self.text.len() > VALUE_BYTES_MAX { self.string(false) } else { String::new() }
    }

    /// The rest, at the value's end.
    pub(crate) fn end(mut self) -> String {
        if self.kind == Kind::Text || self.in_string {
            return self.string(true) + "\"";
        }
        let text = match self.text.trim() {
            "True" => "true",
            "False" => "false",
            "None" => "null",
            text => text,
        };
        let is_allowed = |value: &Json| self.schema.as_ref().is_none_or(|schema| allows(schema, value));
        if serde_json::from_str(text).is_ok_and(|value| is_allowed(&value)) {
            return text.to_owned();
        }
        self.string(true) + "\""
    }

    /// What there is of a value that is cut.
    pub(crate) fn cut(mut self) -> String {
        if self.kind == Kind::Text || self.in_string { self.string(true) } else { self.text }
    }

    /// The text as a part of a string. A line break at its end may be the last.
    fn string(&mut self, is_end: bool) -> String {
        let mut written = if self.in_string { String::new() } else { "\"".to_owned() };
        self.in_string = true;
        let mut text = std::mem::take(&mut self.text);
        if self.lines {
            if self.at_start && text.starts_with('\n') {
                text.remove(0);
                self.at_start = false;
            } else if !text.is_empty() {
                self.at_start = false;
            }
            if text.ends_with('\n') {
                text.pop();
                if !is_end {
                    self.text.push('\n');
                }
            }
        }
        written.push_str(&escape(&text));
        written
    }
}

/// A key as the beginning of a member.
pub(crate) fn member(key: &str, is_first: bool) -> String {
    format!("{}{}: ", if is_first { "" } else { ", " }, quote(key))
}
