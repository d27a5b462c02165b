//! Conversations as the variables that templates expect.

use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_executor::TextError;
use hostler_protocol::{ChatMessage, Conversation};
use minijinja::Value;
use serde_json::{Map, Value as Json, json};

/// The variables for a conversation. Those that the request names itself do not replace ours.
///
/// # Errors
/// [`TextError::Template`] if its tools or variables are not JSON.
pub(super) fn variables(chat: &Conversation, ids: CallIds) -> Result<Value, TextError> {
    let mut variables: Map<String, Json> = parsed(chat.variables.as_deref())?.unwrap_or_default();
    variables.insert("messages".to_owned(), chat.messages.iter().map(|one| message(one, ids)).collect());
    variables.insert("add_generation_prompt".to_owned(), Json::Bool(true));
    if let Some(tools) = parsed::<Vec<Json>>(chat.tools.as_deref())?.filter(|tools| !tools.is_empty()) {
        variables.insert("tools".to_owned(), Json::Array(tools));
    }
    Ok(Value::from_serialize(variables))
}

/// How a template gets the ids of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallIds {
    /// As the client sent them.
    AsSent,
    /// Mistral's templates refuse ids that do not have nine letters and digits.
    Nine,
}

impl CallIds {
    const LENGTH: usize = 9;

    fn id(self, id: &str) -> String {
        let is_short = id.len() == Self::LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if self == Self::AsSent || is_short {
            return id.to_owned();
        }
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        format!("{:016x}", hasher.finish())[..Self::LENGTH].to_owned()
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, TextError> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| TextError::Template(format!("the template's variables are not JSON: {error}")))
}

/// Fields that a message lacks do not exist, because templates test for them.
fn message(message: &ChatMessage, ids: CallIds) -> Json {
    let mut fields = Map::new();
    fields.insert("role".to_owned(), message.role.as_str().into());
    fields.insert("content".to_owned(), message.content.as_str().into());
    let tool_call_id = message.tool_call_id.as_deref().map(|id| ids.id(id));
    let optional =
        [("name", &message.name), ("reasoning_content", &message.reasoning), ("tool_call_id", &tool_call_id)];
    for (field, value) in optional {
        if let Some(value) = value {
            fields.insert(field.to_owned(), value.as_str().into());
        }
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &hostler_protocol::ToolCall| {
            json!({
                "id": ids.id(&call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments(&call.arguments)},
            })
        };
        fields.insert("tool_calls".to_owned(), message.tool_calls.iter().map(call).collect());
    }
    Json::Object(fields)
}

/// Templates expect an object. A model may have written something else, which they get as text.
fn arguments(text: &str) -> Json {
    match serde_json::from_str(text) {
        Ok(object @ Json::Object(_)) => object,
        _ if text.trim().is_empty() => Json::Object(Map::new()),
        _ => text.into(),
    }
}
