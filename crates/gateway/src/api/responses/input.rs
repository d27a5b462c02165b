//! From `instructions` and items to a conversation.

use hostler_protocol::{ChatMessage, RequestError, RequestId, Role, ToolCall};
use serde_json::{Value, json};

use super::items::{Item, ItemRole};
use crate::http::limits::MESSAGES_MAX;

/// The items of `input`, each with an id.
///
/// # Errors
/// `InvalidRequest`: it is neither a text nor items.
pub(super) fn items(input: Option<Value>, id: RequestId) -> Result<Vec<Value>, RequestError> {
    let mut items = match input {
        Some(Value::String(text)) => {
            vec![json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})]
        }
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => return Err(RequestError::invalid("input", "input is required")),
        Some(_) => return Err(RequestError::invalid("input", "input must be a string or an array of items")),
    };
    for (index, item) in items.iter_mut().enumerate() {
        let Some(fields) = item.as_object_mut() else {
            let path = format!("input[{index}]");
            let message = format!("{path} must be an object");
            return Err(RequestError::invalid(path, message));
        };
        fields.entry("type").or_insert_with(|| json!("message"));
        if fields.get("id").is_none_or(Value::is_null) {
            fields.insert("id".to_owned(), json!(format!("item_{id}_{index}")));
        }
    }
    Ok(items)
}

/// The conversation of items, of which the first `earlier` are those of stored responses.
///
/// # Errors
/// `InvalidRequest`, naming the item of `input`.
pub(super) fn conversation(
    instructions: Option<&str>,
    items: &[Value],
    earlier: usize,
) -> Result<Vec<ChatMessage>, RequestError> {
    if items.len() == earlier || items.len() > MESSAGES_MAX {
        let message = format!(
            "input has {} items, with those of the responses that it continues; 1 to {MESSAGES_MAX} are allowed, of \
             which at least one is new",
            items.len()
        );
        return Err(RequestError::invalid("input", message));
    }
    let mut conversation: Vec<ChatMessage> = Vec::with_capacity(items.len() + 1);
    conversation.extend(instructions.filter(|text| !text.is_empty()).map(|text| ChatMessage::new(Role::System, text)));
    let mut reasoning = None;
    for (index, item) in items.iter().enumerate() {
        let path = match index.checked_sub(earlier) {
            Some(index) => format!("input[{index}]"),
            None => "previous_response_id".to_owned(),
        };
        match Item::read(item, &path)? {
            Item::Reasoning(text) => reasoning = Some(text).filter(|text| !text.is_empty()),
            Item::Message { role: ItemRole::Assistant, text } => {
                conversation
                    .push(ChatMessage { reasoning: reasoning.take(), ..ChatMessage::new(Role::Assistant, text) });
            }
            Item::Call { call_id: id, name, arguments } => {
                let call = ToolCall { id, name, arguments };
                match conversation.last_mut() {
                    // Calls belong to the answer that they follow.
                    Some(last) if last.role == Role::Assistant && reasoning.is_none() => last.tool_calls.push(call),
                    _ => conversation.push(ChatMessage {
                        reasoning: reasoning.take(),
                        tool_calls: vec![call],
                        ..ChatMessage::new(Role::Assistant, "")
                    }),
                }
            }
            Item::Result { call_id, output } => {
                conversation.push(ChatMessage { tool_call_id: Some(call_id), ..ChatMessage::new(Role::Tool, output) });
            }
            Item::Message { role: ItemRole::User, text } => {
                reasoning = None;
                conversation.push(ChatMessage::new(Role::User, text));
            }
            Item::Message { role: ItemRole::System | ItemRole::Developer, text } => match conversation.last_mut() {
                // Many chat templates allow only one system message, as the first.
                Some(last) if last.role == Role::System => {
                    last.content.push('\n');
                    last.content.push_str(&text);
                }
                _ => conversation.push(ChatMessage::new(Role::System, text)),
            },
        }
    }
    Ok(conversation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(instructions: Option<&str>, input: Value) -> Result<Vec<ChatMessage>, RequestError> {
        conversation(instructions, &items(Some(input), RequestId::new())?, 0)
    }

    #[test]
    fn items_become_messages_and_calls_join_the_answer_before_them() {
        let read = read(
            Some("Be brief."),
            json!([
                {"role": "developer", "content": "Use tools."},
                {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
                {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "1"},
                {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}"},
            ]),
        );
        let messages = read.expect("it is valid");
        let shown: Vec<_> =
            messages.iter().map(|message| (message.role, message.content.as_str(), message.tool_calls.len())).collect();
        let expected = [
            (Role::System, "Be brief.\nUse tools.", 0),
            (Role::User, "a\nb", 0),
            (Role::Assistant, "I look.", 2),
            (Role::Tool, "1", 0),
            (Role::Tool, "2", 0),
            (Role::Assistant, "", 1),
        ];
        assert_eq!(shown, expected);
        assert_eq!(messages[2].reasoning.as_deref(), Some("Hm."));
        assert_eq!(messages[4].tool_call_id.as_deref(), Some("c2"));
    }

    #[test]
    fn what_is_not_supported_is_refused_with_its_path() {
        let cases = [
            (json!([]), "input"),
            (json!(1), "input"),
            (json!(["a"]), "input[0]"),
            (json!([{"role": "user"}]), "input[0]"),
            (json!([{"role": "robot", "content": "a"}]), "input[0]"),
            (json!([{"role": "user", "content": "a", "contnet": "b"}]), "input[0]"),
            (json!([{"role": "user", "content": 1}]), "input[0].content"),
            (json!([{"role": "user", "content": [{"type": "input_image"}]}]), "input[0].content[0].type"),
            (json!([{"role": "user", "content": [{"type": "input_text"}]}]), "input[0].content[0].text"),
            (json!([{"type": "web_search_call"}]), "input[0].type"),
            (json!([{"type": "function_call", "name": "f", "arguments": "{}"}]), "input[0]"),
        ];
        for (input, param) in cases {
            let error = read(None, input.clone()).expect_err(param);
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
            assert!(error.message.contains(param), "{}", error.message);
        }
    }
}
