//! Writes the rules of a grammar.

use std::collections::BTreeMap;
use std::fmt::Write;

use hostler_protocol::TokenId;
use serde_json::{Map, Value, json};

/// Any text without special tokens.
pub(crate) const ANY: &str = "/.*/s";

/// The terminal for whitespace between the parts of calls.
pub(crate) const SPACE: &str = "SPACE";

/// The rules of a grammar.
pub(crate) struct Writer<'a> {
    special_tokens: &'a BTreeMap<String, TokenId>,
    rules: String,
    count: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(special_tokens: &'a BTreeMap<String, TokenId>) -> Self {
        Self { special_tokens, rules: String::new(), count: 0 }
    }

    pub(crate) fn rule(&mut self, name: &str, body: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.rules, "{name}: {body}");
    }

    /// A name that no other rule has.
    pub(crate) fn name(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}{}", self.count)
    }

    /// The grammar that begins with this expression.
    pub(crate) fn finish(self, start: &str) -> String {
        format!("start: {start}\n{}{SPACE}: /[ \\n\\r\\t]{{1,4}}/\n", self.rules)
    }

    /// The expression for what ends free text at a tag with a special token: text before the token
    /// is part of the free text. None for a tag without special tokens.
    pub(crate) fn special(&self, tag: &str) -> Option<String> {
        let first = self.special_tokens.keys().filter_map(|token| tag.find(token.as_str())).min();
        first.map(|at| self.literal(&tag[at..]))
    }

    /// An expression for a text, with the special tokens in it.
    pub(crate) fn literal(&self, text: &str) -> String {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let first = self
                .special_tokens
                .iter()
                .filter_map(|(token, id)| rest.find(token.as_str()).map(|at| (at, token, id)))
                .min_by_key(|(at, token, _)| (*at, usize::MAX - token.len()));
            let Some((at, token, id)) = first else {
                parts.push(json!(rest).to_string());
                break;
            };
            if at > 0 {
                parts.push(json!(rest[..at]).to_string());
            }
            parts.push(format!("<[{id}]>"));
            rest = &rest[at + token.len()..];
        }
        parts.join(" ")
    }

    /// Any text, up to and including a tag.
    pub(crate) fn until(&mut self, kind: &str, tag: &str) -> String {
        let name = self.name(kind);
        if let Some(end) = self.special(tag) {
            let text = name.to_uppercase();
            self.rule(&text, ANY);
            self.rule(&name, &format!("{text} {end}"));
        } else {
            self.rule(&format!("{name}[lazy]"), &format!("{ANY} {}", self.literal(tag)));
        }
        name
    }

    /// A value that is valid under a schema.
    pub(crate) fn json(&mut self, schema: &Value, is_strict: bool) -> String {
        let mut schema = match schema {
            Value::Object(schema) => schema.clone(),
            _ => Map::new(),
        };
        let options = json!({"whitespace_flexible": false, "item_separator": ", ?", "key_separator": ": ?",
                             "lenient": !is_strict});
        schema.insert("x-guidance".to_owned(), options);
        let name = self.name("json");
        self.rule(&name, &format!("%json {}", Value::Object(schema)));
        name
    }
}

/// A regular expression that matches the text.
pub(crate) fn regex(text: &str) -> String {
    text.chars().fold(String::new(), |mut regex, c| {
        match c {
            '\n' => regex.push_str("\\n"),
            _ if "\\/.+*?()|[]{}^$".contains(c) => regex.extend(['\\', c]),
            _ => regex.push(c),
        }
        regex
    })
}
