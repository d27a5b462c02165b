//! `content` and `system`: a text, or blocks of text.

use hostler_protocol::RequestError;
use serde::Deserialize;

use crate::http::context::RequestContext;
use crate::http::limits::CONTENT_PARTS_MAX;
use crate::request::{ContentPart, Object, Present};

/// A text, or blocks.
pub(super) type Content = crate::request::Content<Block>;

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

impl ContentPart for Block {
    const PLURAL: &'static str = "content blocks";
}

impl Content {
    /// The text; blocks become a line each. `path` names the field.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the block.
    pub(super) fn into_text(self, path: &str, context: &RequestContext) -> Result<String, RequestError> {
        let blocks = match self {
            Self::Text(text) => return Ok(text),
            Self::Parts(blocks) => blocks,
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
