//! `content` and `system`: a text, or blocks.

use hostler_protocol::{ChatMessage, RequestError, Role, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::context::RequestContext;
use crate::http::limits::{CONTENT_PARTS_MAX, TOOL_CALLS_MAX};
use crate::request::{ContentPart, Object, Present};

/// A text, or blocks.
pub(super) type Content = crate::request::Content<Block>;

/// A block, with the fields of types that are not supported, so that the error is about the type.
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
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Object<Map<String, Value>>>,
    #[serde(default)]
    caller: Present,
    #[serde(default)]
    tool_use_id: Option<String>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    is_error: Option<bool>,
    #[serde(default)]
    thinking: Option<String>,
    /// Reasoning is not signed here.
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
        let mut texts = Vec::new();
        for (path, block) in self.into_blocks(path)? {
            if block.r#type != "text" {
                return Err(unsupported(&path, &block.r#type, "only \"text\" is"));
            }
            texts.push(block.into_text(&path, context)?);
        }
        Ok(texts.join("\n"))
    }

    /// The messages that the content of one message of `role` is: results of tools are messages of
    /// their own. `path` names the field.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the block.
    pub(super) fn into_messages(
        self,
        role: Role,
        path: &str,
        context: &RequestContext,
    ) -> Result<Vec<ChatMessage>, RequestError> {
        let mut messages: Vec<ChatMessage> = Vec::new();
        for (path, block) in self.into_blocks(path)? {
            match (block.r#type.as_str(), role) {
                ("text", _) => {
                    let text = block.into_text(&path, context)?;
                    add_text(current(&mut messages, role), &text);
                }
                ("thinking", Role::Assistant) => {
                    let thinking = block.thinking.ok_or_else(|| missing(&path, "thinking"))?;
                    let reasoning = current(&mut messages, role).reasoning.get_or_insert_default();
                    reasoning.push_str(&thinking);
                }
                ("redacted_thinking", Role::Assistant) => context.ignore("redacted_thinking"),
                ("tool_use", Role::Assistant) => {
                    let call = block.into_call(&path)?;
                    current(&mut messages, role).tool_calls.push(call);
                }
                ("tool_result", Role::User) => messages.push(block.into_result(&path, context)?),
                (other, Role::Assistant) => {
                    return Err(unsupported(&path, other, "only \"text\", \"thinking\" and \"tool_use\" are"));
                }
                (other, Role::User) => {
                    return Err(unsupported(&path, other, "only \"text\" and \"tool_result\" are"));
                }
                (other, _) => return Err(unsupported(&path, other, "only \"text\" is")),
            }
        }
        // A message without blocks is one without text.
        if messages.is_empty() {
            messages.push(ChatMessage::new(role, ""));
        }
        match messages.iter().find(|message| message.tool_calls.len() > TOOL_CALLS_MAX) {
            Some(message) => {
                let count = message.tool_calls.len();
                let what = format!("{path}: {count} blocks of type \"tool_use\"; at most {TOOL_CALLS_MAX} are allowed");
                Err(RequestError::invalid(path.to_owned(), what))
            }
            None => Ok(messages),
        }
    }

    /// The blocks with their paths; a text is one block.
    fn into_blocks(self, path: &str) -> Result<Vec<(String, Block)>, RequestError> {
        let blocks = match self {
            Self::Text(text) => return Ok(vec![(path.to_owned(), Block::of_text(text))]),
            Self::Parts(blocks) => blocks,
        };
        if blocks.len() > CONTENT_PARTS_MAX {
            let message = format!("{path}: {} blocks; at most {CONTENT_PARTS_MAX} are allowed", blocks.len());
            return Err(RequestError::invalid(path.to_owned(), message));
        }
        let block = |(index, Object(block))| (format!("{path}[{index}]"), block);
        Ok(blocks.into_iter().enumerate().map(block).collect())
    }
}

/// The message of this role to which a block belongs.
fn current(messages: &mut Vec<ChatMessage>, role: Role) -> &mut ChatMessage {
    if messages.last().is_none_or(|last| last.role != role) {
        messages.push(ChatMessage::new(role, ""));
    }
    messages.last_mut().expect("one was just added, if there was none")
}

/// Adds a line to a message.
pub(super) fn add_text(message: &mut ChatMessage, text: &str) {
    if !message.content.is_empty() {
        message.content.push('\n');
    }
    message.content.push_str(text);
}

impl Block {
    fn of_text(text: String) -> Self {
        Self {
            r#type: "text".to_owned(),
            text: Some(text),
            cache_control: Present::default(),
            citations: Present::default(),
            source: Present::default(),
            title: Present::default(),
            context: Present::default(),
            id: None,
            name: None,
            input: None,
            caller: Present::default(),
            tool_use_id: None,
            content: None,
            is_error: None,
            thinking: None,
            signature: Present::default(),
            data: Present::default(),
        }
    }

    fn into_text(self, path: &str, context: &RequestContext) -> Result<String, RequestError> {
        if self.citations.0 {
            context.ignore("citations");
        }
        self.text.ok_or_else(|| missing(path, "text"))
    }

    fn into_call(self, path: &str) -> Result<ToolCall, RequestError> {
        Ok(ToolCall {
            id: self.id.ok_or_else(|| missing(path, "id"))?,
            name: self.name.ok_or_else(|| missing(path, "name"))?,
            arguments: Value::Object(self.input.ok_or_else(|| missing(path, "input"))?.0).to_string(),
        })
    }

    /// Chat templates have no field for an error; the result's text says what failed.
    fn into_result(self, path: &str, context: &RequestContext) -> Result<ChatMessage, RequestError> {
        let id = self.tool_use_id.ok_or_else(|| missing(path, "tool_use_id"))?;
        let text = self.content.map(|content| content.into_text(&format!("{path}.content"), context)).transpose()?;
        let text = text.unwrap_or_default();
        let text = if self.is_error == Some(true) { format!("Error: {text}") } else { text };
        Ok(ChatMessage { tool_call_id: Some(id), ..ChatMessage::new(Role::Tool, text) })
    }
}

fn missing(path: &str, field: &str) -> RequestError {
    let path = format!("{path}.{field}");
    let message = format!("{path}: this field is required");
    RequestError::invalid(path, message)
}

fn unsupported(path: &str, kind: &str, allowed: &str) -> RequestError {
    let path = format!("{path}.type");
    let message = format!("{path}: {kind:?} is not supported here; {allowed}");
    RequestError::invalid(path, message)
}
