//! Chat messages: text, tool calls and their results, reasoning. No part of a message is dropped
//! silently.

use hostler_protocol::{ChatMessage, RequestError, Role, ToolCall};
use serde::Deserialize;

use super::content::{Content, ContentPart};
use super::wrappers::{Object, Present, Unsupported};
use crate::http::context::RequestContext;
use crate::http::limits::{CONTENT_PARTS_MAX, MESSAGES_MAX, TOOL_CALLS_MAX};

/// One message, as clients send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    role: Role,
    #[serde(default)]
    content: Option<Content<Part>>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Object<Call>>>,
    #[serde(default)]
    tool_call_id: Option<String>,
    /// `reasoning` is its newer name in vLLM.
    #[serde(default, alias = "reasoning")]
    reasoning_content: Option<String>,
    #[serde(default)]
    function_call: Unsupported,
    #[serde(default)]
    audio: Unsupported,
    #[serde(default)]
    refusal: Present,
    #[serde(default)]
    annotations: Present,
}

/// An entry of `tool_calls`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    id: String,
    #[serde(default)]
    r#type: CallType,
    function: Object<CalledFunction>,
    /// Its position in a stream, which some clients keep.
    #[serde(default)]
    #[expect(dead_code, reason = "the order of the calls says the same")]
    index: Present,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CallType {
    #[default]
    Function,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalledFunction {
    name: String,
    /// JSON text.
    arguments: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    r#type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "parsed so that the error is about the part's type")]
    image_url: Present,
    #[serde(default)]
    #[expect(dead_code, reason = "parsed so that the error is about the part's type")]
    input_audio: Present,
    #[serde(default)]
    #[expect(dead_code, reason = "parsed so that the error is about the part's type")]
    file: Present,
}

impl ContentPart for Part {
    const PLURAL: &'static str = "content parts";
}

/// Converts a conversation's messages.
///
/// # Errors
/// `InvalidRequest`, naming the message and its field.
pub(crate) fn conversation(
    messages: Vec<Object<Message>>,
    context: &RequestContext,
) -> Result<Vec<ChatMessage>, RequestError> {
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        return Err(RequestError::invalid(
            "messages",
            format!("messages has {} entries; 1 to {MESSAGES_MAX} are allowed", messages.len()),
        ));
    }
    messages.into_iter().enumerate().map(|(index, message)| message.0.into_domain(index, context)).collect()
}

impl Message {
    fn into_domain(self, index: usize, context: &RequestContext) -> Result<ChatMessage, RequestError> {
        if self.function_call.is_active(&[]) {
            return Err(invalid(index, "function_call", "it is not supported; send the call in tool_calls"));
        }
        if self.audio.is_active(&[]) {
            return Err(invalid(index, "audio", "only text messages are supported"));
        }
        let tool_calls = calls(self.tool_calls.unwrap_or_default(), self.role, index)?;
        if self.tool_call_id.is_some() && self.role != Role::Tool {
            return Err(invalid(index, "tool_call_id", "only messages of role \"tool\" have this field"));
        }
        if self.reasoning_content.is_some() && self.role != Role::Assistant {
            return Err(invalid(index, "reasoning_content", "only messages of role \"assistant\" have this field"));
        }
        let harmless = [("messages.refusal", self.refusal), ("messages.annotations", self.annotations)];
        for (field, present) in harmless {
            if present.0 {
                context.ignore(field);
            }
        }
        let content = match self.content {
            // The SDKs send an empty answer back with `content: null`.
            None if self.role == Role::Assistant => String::new(),
            None => return Err(invalid(index, "content", "this field is required")),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => joined(parts, index)?,
        };
        Ok(ChatMessage {
            name: self.name,
            reasoning: self.reasoning_content.filter(|reasoning| !reasoning.is_empty()),
            tool_calls,
            tool_call_id: self.tool_call_id,
            ..ChatMessage::new(self.role, content)
        })
    }
}

/// Converts the calls of one message.
fn calls(calls: Vec<Object<Call>>, role: Role, index: usize) -> Result<Vec<ToolCall>, RequestError> {
    if !calls.is_empty() && role != Role::Assistant {
        return Err(invalid(index, "tool_calls", "only messages of role \"assistant\" have this field"));
    }
    if calls.len() > TOOL_CALLS_MAX {
        return Err(invalid(
            index,
            "tool_calls",
            &format!("{} calls; at most {TOOL_CALLS_MAX} are allowed", calls.len()),
        ));
    }
    let call = |Object(Call { id, r#type: CallType::Function, function: Object(function), .. })| ToolCall {
        id,
        name: function.name,
        arguments: function.arguments,
    };
    Ok(calls.into_iter().map(call).collect())
}

/// Joins text parts, a line each.
fn joined(parts: Vec<Object<Part>>, index: usize) -> Result<String, RequestError> {
    if parts.is_empty() || parts.len() > CONTENT_PARTS_MAX {
        return Err(invalid(index, "content", &format!("{} parts; 1 to {CONTENT_PARTS_MAX} are allowed", parts.len())));
    }
    let mut texts = Vec::with_capacity(parts.len());
    for (part_index, Object(part)) in parts.into_iter().enumerate() {
        match (part.r#type.as_str(), part.text) {
            ("text", Some(text)) => texts.push(text),
            ("text", None) => {
                return Err(invalid(index, &format!("content[{part_index}].text"), "this field is required"));
            }
            (other, _) => {
                let field = format!("content[{part_index}].type");
                return Err(invalid(index, &field, &format!("{other:?} is not supported; only \"text\" is")));
            }
        }
    }
    Ok(texts.join("\n"))
}

fn invalid(index: usize, field: &str, what: &str) -> RequestError {
    let path = format!("messages[{index}].{field}");
    let message = format!("{path}: {what}");
    RequestError::invalid(path, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::parse::parse;

    fn read(json: &str) -> Result<Vec<ChatMessage>, RequestError> {
        conversation(parse::<Vec<Object<Message>>>(json.as_bytes())?, &RequestContext::for_test())
    }

    #[test]
    fn text_parts_become_lines() {
        let messages = read(
            r#"[{"role": "developer", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]"#,
        );
        let expected =
            [(Role::System, "be brief"), (Role::User, "a\nb")].map(|(role, content)| ChatMessage::new(role, content));
        assert_eq!(messages, Ok(expected.to_vec()));
    }

    #[test]
    fn content_other_than_text_is_refused_with_its_path() {
        let cases = [
            (
                r#"[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]"#,
                "messages[0].content[0].type",
            ),
            (r#"[{"role": "user", "content": [{"type": "text"}]}]"#, "messages[0].content[0].text"),
            (r#"[{"role": "user", "content": []}]"#, "messages[0].content"),
            (r#"[{"role": "user"}]"#, "messages[0].content"),
            (r#"[{"role": "user", "content": "a", "tool_call_id": "x"}]"#, "messages[0].tool_call_id"),
            (r#"[{"role": "user", "content": "a", "reasoning": "x"}]"#, "messages[0].reasoning_content"),
            (
                r#"[{"role": "user", "content": "a",
                    "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}]}]"#,
                "messages[0].tool_calls",
            ),
            (
                r#"[{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]"#,
                "messages[0].function_call",
            ),
            ("[]", "messages"),
        ];
        for (json, param) in cases {
            let error = read(json).expect_err(json);
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
        }
    }

    #[test]
    fn calls_their_results_and_reasoning_are_kept() {
        let messages = read(
            r#"[{"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
                {"role": "tool", "tool_call_id": "a", "content": "2"}]"#,
        );
        let call = ToolCall { id: "a".into(), name: "f".into(), arguments: r#"{"x": 1}"#.into() };
        let expected = vec![
            ChatMessage {
                reasoning: Some("hm".into()),
                tool_calls: vec![call],
                ..ChatMessage::new(Role::Assistant, "")
            },
            ChatMessage { tool_call_id: Some("a".into()), ..ChatMessage::new(Role::Tool, "2") },
        ];
        assert_eq!(messages, Ok(expected));
    }

    #[test]
    fn an_answer_is_accepted_as_the_sdk_sends_it_back() {
        let echoed = r#"[{"role": "assistant", "content": "a", "refusal": null, "annotations": null,
                          "audio": null, "function_call": null, "tool_calls": null}]"#;
        assert!(read(echoed).is_ok());
        assert!(read(r#"[{"role": "assistant", "content": null}, {"role": "assistant"}]"#).is_ok());
    }
}
