//! Items of a conversation, as clients send them and responses contain them.

use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::Value;

use crate::http::limits::CONTENT_PARTS_MAX;
use crate::request::Present;

/// An item.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Message { role: ItemRole, text: String },
    Reasoning(String),
    Call { call_id: String, name: String, arguments: String },
    Result { call_id: String, output: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ItemRole {
    User,
    Assistant,
    System,
    Developer,
}

/// What every item may have, and the model does not see.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the fields' presence is allowed")]
struct MessageItem {
    #[serde(default)]
    r#type: Present,
    #[serde(default)]
    id: Present,
    #[serde(default)]
    status: Present,
    #[serde(default)]
    phase: Present,
    role: ItemRole,
    content: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the fields' presence is allowed")]
struct CallItem {
    r#type: Present,
    #[serde(default)]
    id: Present,
    #[serde(default)]
    status: Present,
    call_id: String,
    name: String,
    arguments: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the fields' presence is allowed")]
struct ResultItem {
    r#type: Present,
    #[serde(default)]
    id: Present,
    #[serde(default)]
    status: Present,
    call_id: String,
    output: Value,
}

/// Reasoning of this server has `content`; that of others may have only a summary.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the fields' presence is allowed")]
struct ReasoningItem {
    r#type: Present,
    #[serde(default)]
    id: Present,
    #[serde(default)]
    status: Present,
    #[serde(default)]
    encrypted_content: Present,
    #[serde(default)]
    summary: Option<Value>,
    #[serde(default)]
    content: Option<Value>,
}

impl Item {
    /// Reads an item; `path` names it.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the item or its field.
    pub(super) fn read(item: &Value, path: &str) -> Result<Self, RequestError> {
        let kind = match &item["type"] {
            Value::Null => "message",
            kind => kind.as_str().unwrap_or_default(),
        };
        match kind {
            "message" => {
                let MessageItem { role, content, .. } = fields(item, path)?;
                Ok(Self::Message { role, text: text(&content, &format!("{path}.content"))? })
            }
            "function_call" => {
                let CallItem { call_id, name, arguments, .. } = fields(item, path)?;
                Ok(Self::Call { call_id, name, arguments })
            }
            "function_call_output" => {
                let ResultItem { call_id, output, .. } = fields(item, path)?;
                Ok(Self::Result { call_id, output: text(&output, &format!("{path}.output"))? })
            }
            "reasoning" => {
                let ReasoningItem { summary, content, .. } = fields(item, path)?;
                let content = content.filter(|content| content.as_array().is_some_and(|parts| !parts.is_empty()));
                let (field, parts) = match content {
                    Some(content) => ("content", Some(content)),
                    None => ("summary", summary.filter(|summary| !summary.is_null())),
                };
                let text = parts.map(|parts| text(&parts, &format!("{path}.{field}"))).transpose()?;
                Ok(Self::Reasoning(text.unwrap_or_default()))
            }
            other => {
                let path = format!("{path}.type");
                let message = format!(
                    "{path} is {other:?}; \"message\", \"function_call\", \"function_call_output\" and \"reasoning\" \
                     are supported"
                );
                Err(RequestError::invalid(path, message))
            }
        }
    }
}

fn fields<'de, T: Deserialize<'de>>(item: &'de Value, path: &str) -> Result<T, RequestError> {
    T::deserialize(item).map_err(|error| RequestError::invalid(path.to_owned(), format!("{path}: {error}")))
}

/// A text, or parts of text, a line each.
fn text(content: &Value, path: &str) -> Result<String, RequestError> {
    let parts = match content {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) if parts.len() <= CONTENT_PARTS_MAX => parts,
        _ => {
            let message = format!("{path} must be a string, or an array of at most {CONTENT_PARTS_MAX} parts");
            return Err(RequestError::invalid(path.to_owned(), message));
        }
    };
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let refused = |field: &str, what: &str| {
            let path = format!("{path}[{index}].{field}");
            let message = format!("{path} {what}");
            RequestError::invalid(path, message)
        };
        let field = match part["type"].as_str() {
            Some("input_text" | "output_text" | "text" | "reasoning_text" | "summary_text") => "text",
            Some("refusal") => "refusal",
            other => {
                let what = format!("is {:?}; only text is supported", other.unwrap_or_default());
                return Err(refused("type", &what));
            }
        };
        texts.push(part[field].as_str().ok_or_else(|| refused(field, "is required, and must be a string"))?);
    }
    Ok(texts.join("\n"))
}
