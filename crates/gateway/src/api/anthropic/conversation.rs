//! From `system` and `messages` to a conversation.

use hostler_protocol::{ChatMessage, RequestError, Role};
use serde::Deserialize;

use super::content::{Content, add_text};
use crate::http::context::RequestContext;
use crate::http::limits::MESSAGES_MAX;
use crate::request::Object;

/// One of `messages`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageParam {
    role: MessageRole,
    content: Content,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MessageRole {
    User,
    Assistant,
    System,
}

/// Converts a conversation. Consecutive messages of the same role become one, as in Anthropic's
/// API: many chat templates refuse roles that do not alternate.
///
/// # Errors
/// `InvalidRequest`, naming the message and its field.
pub(super) fn conversation(
    system: Option<Content>,
    messages: Vec<Object<MessageParam>>,
    context: &RequestContext,
) -> Result<Vec<ChatMessage>, RequestError> {
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        let message = format!("messages has {} entries; 1 to {MESSAGES_MAX} are allowed", messages.len());
        return Err(RequestError::invalid("messages", message));
    }
    let system = system.map(|system| system.into_text("system", context)).transpose()?;
    let mut conversation: Vec<ChatMessage> = Vec::with_capacity(messages.len() + 1);
    if let Some(content) = system.filter(|text| !text.is_empty()) {
        conversation.push(ChatMessage::new(Role::System, content));
    }
    for (index, Object(message)) in messages.into_iter().enumerate() {
        let role = match message.role {
            MessageRole::User => Role::User,
            MessageRole::Assistant => Role::Assistant,
            MessageRole::System => Role::System,
        };
        for message in message.content.into_messages(role, &format!("messages[{index}].content"), context)? {
            match conversation.last_mut() {
                // Every result of a tool is a message.
                Some(last) if last.role == message.role && last.role != Role::Tool => merge(last, message),
                _ => conversation.push(message),
            }
        }
    }
    if conversation.last().is_some_and(|last| last.role == Role::Assistant) {
        let message = "messages: the last one has the role \"assistant\"; continuing an answer is not supported";
        return Err(RequestError::invalid("messages", message));
    }
    Ok(conversation)
}

/// Adds a message to the one of the same role before it.
fn merge(last: &mut ChatMessage, message: ChatMessage) {
    add_text(last, &message.content);
    last.tool_calls.extend(message.tool_calls);
    if let Some(reasoning) = message.reasoning {
        last.reasoning.get_or_insert_default().push_str(&reasoning);
    }
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ToolCall;

    use super::*;

    #[derive(Deserialize)]
    struct Body {
        system: Option<Content>,
        messages: Vec<Object<MessageParam>>,
    }

    fn read(json: &str) -> Result<Vec<ChatMessage>, RequestError> {
        let Body { system, messages } = serde_json::from_str(json).expect("a body of the right form");
        conversation(system, messages, &RequestContext::for_test())
    }

    #[test]
    fn system_and_blocks_become_messages_and_equal_roles_one() {
        let conversation = read(
            r#"{"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
                "messages": [{"role": "user", "content": "c"}, {"role": "user", "content": [{"type": "text", "text": "d"}]},
                             {"role": "assistant", "content": []}, {"role": "user", "content": "e"},
                             {"role": "system", "content": "f"}]}"#,
        );
        let expected = [
            (Role::System, "a\nb"),
            (Role::User, "c\nd"),
            (Role::Assistant, ""),
            (Role::User, "e"),
            (Role::System, "f"),
        ];
        let message = |(role, content): (Role, &str)| ChatMessage::new(role, content);
        assert_eq!(conversation, Ok(expected.map(message).to_vec()));
        assert_eq!(
            read(r#"{"system": "", "messages": [{"role": "user", "content": "a"}]}"#).map(|all| all.len()),
            Ok(1)
        );
    }

    #[test]
    fn calls_results_and_reasoning_become_messages() {
        let conversation = read(
            r#"{"messages": [
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"z": 1, "b": [2]}},
                    {"type": "tool_use", "id": "b", "name": "g", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "b", "is_error": true,
                     "content": [{"type": "text", "text": "two"}]},
                    {"type": "text", "text": "Go on."}]}]}"#,
        );
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let result = |id: &str, text: &str| ChatMessage {
            tool_call_id: Some(id.to_owned()),
            ..ChatMessage::new(Role::Tool, text)
        };
        let answer = ChatMessage {
            reasoning: Some("hm".to_owned()),
            tool_calls: vec![call("a", "f", r#"{"z":1,"b":[2]}"#), call("b", "g", "{}")],
            ..ChatMessage::new(Role::Assistant, "I look.")
        };
        let go_on = ChatMessage::new(Role::User, "Go on.");
        assert_eq!(conversation, Ok(vec![answer, result("a", "one"), result("b", "Error: two"), go_on]));
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_path() {
        let message = |content: &str| format!(r#"{{"messages": [{{"role": "user", "content": [{content}]}}]}}"#);
        let cases = [
            (message(r#"{"type": "image", "source": {"type": "url", "url": "x"}}"#), "messages[0].content[0].type"),
            (message(r#"{"type": "tool_use", "id": "a", "name": "f", "input": {}}"#), "messages[0].content[0].type"),
            (message(r#"{"type": "tool_result"}"#), "messages[0].content[0].tool_use_id"),
            (message(r#"{"type": "thinking", "thinking": "a", "signature": "b"}"#), "messages[0].content[0].type"),
            (message(r#"{"type": "text", "text": "a"}, {"type": "text"}"#), "messages[0].content[1].text"),
            (r#"{"messages": []}"#.to_owned(), "messages"),
            (r#"{"messages": [{"role": "assistant", "content": "The answer is"}]}"#.to_owned(), "messages"),
        ];
        for (json, param) in cases {
            let error = read(&json).expect_err(&json);
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
            assert!(error.message.contains(param), "{}", error.message);
        }
    }
}
