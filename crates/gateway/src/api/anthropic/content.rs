//! `content` and `system`: a text, or blocks of text.

use std::fmt;

use hostler_protocol::RequestError;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::context::RequestContext;
use crate::http::limits::CONTENT_PARTS_MAX;
use crate::request::{Object, Present};

/// A text, or blocks.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Object<Block>>),
}

/// A block, with the fields of other types than `text`, so that the error is about the type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields of other types are parsed so that the error is about the type")]
pub(super) struct Block {
    r#type: String,
    #[serde(default)]
    text: Option<String>,
    /// Prefixes are always cached.
    #[serde(default)]
    cache_control: Present,
    #[serde(default)]
    citations: Present,
    #[serde(default)]
    source: Present,
    #[serde(default)]
    title: Present,
    #[serde(default)]
    context: Present,
    #[serde(default)]
    id: Present,
    #[serde(default)]
    name: Present,
    #[serde(default)]
    input: Present,
    #[serde(default)]
    caller: Present,
    #[serde(default)]
    tool_use_id: Present,
    #[serde(default)]
    content: Present,
    #[serde(default)]
    is_error: Present,
    #[serde(default)]
    thinking: Present,
    #[serde(default)]
    signature: Present,
    #[serde(default)]
    data: Present,
}

impl Content {
    /// The text; blocks become a line each. `path` names the field.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the block.
    pub(super) fn into_text(self, path: &str, context: &RequestContext) -> Result<String, RequestError> {
        let blocks = match self {
            Self::Text(text) => return Ok(text),
            Self::Blocks(blocks) => blocks,
        };
        if blocks.len() > CONTENT_PARTS_MAX {
            let message = format!("{path}: {} blocks; at most {CONTENT_PARTS_MAX} are allowed", blocks.len());
            return Err(RequestError::invalid(path.to_owned(), message));
        }
        let mut texts = Vec::with_capacity(blocks.len());
        for (index, Object(block)) in blocks.into_iter().enumerate() {
            texts.push(block.into_text(&format!("{path}[{index}]"), context)?);
        }
        Ok(texts.join("\n"))
    }
}

impl Block {
    fn into_text(self, path: &str, context: &RequestContext) -> Result<String, RequestError> {
        let refused = |field: &str, what: &str| {
            let path = format!("{path}.{field}");
            let message = format!("{path}: {what}");
            RequestError::invalid(path, message)
        };
        if self.r#type != "text" {
            return Err(refused("type", &format!("{:?} is not supported; only \"text\" is", self.r#type)));
        }
        if self.citations.0 {
            context.ignore("citations");
        }
        self.text.ok_or_else(|| refused("text", "this field is required"))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of content blocks")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Content, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Content::Blocks)
    }
}
