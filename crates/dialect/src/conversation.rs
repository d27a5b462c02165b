//! Conversations with tools, for templates that know no tools.

use hostler_protocol::{ChatMessage, Conversation, Role};
use serde_json::Value;

use crate::describe::{describe, render_calls, render_result};
use crate::tool::Tool;

/// The conversation with its tools described in the system message, and with calls and their
/// results as text. Results that follow one another become one message, because many templates
/// refuse roles that do not alternate.
///
/// # Errors
/// The conversation's tools are not a JSON array of tools in OpenAI's form.
pub fn described(chat: &Conversation) -> Result<Conversation, serde_json::Error> {
    let tools = tools(chat.tools.as_deref())?;
    let mut messages: Vec<ChatMessage> = Vec::with_capacity(chat.messages.len() + 1);
    let mut follows_result = false;
    for message in &chat.messages {
        let is_result = message.role == Role::Tool;
        match messages.last_mut() {
            Some(last) if is_result && follows_result => {
                last.content.push('\n');
                last.content.push_str(&render_result(&message.content));
            }
            _ => messages.push(as_text(message)),
        }
        follows_result = is_result;
    }
    if !tools.is_empty() {
        let text = describe(&tools);
        match messages.first_mut() {
            Some(first) if first.role == Role::System => {
                first.content.push_str("\n\n");
                first.content.push_str(&text);
            }
            _ => messages.insert(0, ChatMessage::new(Role::System, text)),
        }
    }
    Ok(Conversation { messages, tools: None, variables: chat.variables.clone() })
}

fn as_text(message: &ChatMessage) -> ChatMessage {
    if message.role == Role::Tool {
        return ChatMessage::new(Role::User, render_result(&message.content));
    }
    let calls = message.tool_calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str()));
    ChatMessage { content: render_calls(&message.content, calls), tool_calls: Vec::new(), ..message.clone() }
}

/// The tools of a conversation, from OpenAI's form.
fn tools(text: Option<&str>) -> Result<Vec<Tool>, serde_json::Error> {
    let tools: Vec<Value> = text.map(serde_json::from_str).transpose()?.unwrap_or_default();
    let tool = |tool: &Value| {
        let function = &tool["function"];
        Tool {
            name: function["name"].as_str().unwrap_or_default().to_owned(),
            description: function["description"].as_str().map(str::to_owned),
            parameters: function["parameters"].clone(),
            strict: false,
        }
    };
    Ok(tools.iter().map(tool).collect())
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ToolCall;

    use super::*;

    fn call(name: &str) -> ToolCall {
        ToolCall { id: name.to_owned(), name: name.to_owned(), arguments: "{\"a\":1}".to_owned() }
    }

    #[test]
    fn tools_calls_and_results_become_text() {
        let result = |text: &str| ChatMessage { tool_call_id: Some("f".into()), ..ChatMessage::new(Role::Tool, text) };
        let messages = vec![
            ChatMessage::new(Role::User, "Hi"),
            ChatMessage { tool_calls: vec![call("f"), call("g")], ..ChatMessage::new(Role::Assistant, "") },
            result("1"),
            result("2"),
            ChatMessage::new(Role::User, "Go on"),
        ];
        let tools = r#"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#;
        let chat = Conversation { messages, tools: Some(tools.to_owned()), variables: None };
        let text = described(&chat).expect("they are tools");
        let roles: Vec<_> = text.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User, Role::User]);
        assert!(text.messages[0].content.contains("\"name\":\"f\""), "{}", text.messages[0].content);
        assert!(text.messages[2].content.matches("<tool_call>").count() == 2 && text.messages[2].tool_calls.is_empty());
        let results = "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>";
        assert_eq!((text.messages[3].content.as_str(), &text.messages[3].tool_call_id), (results, &None));
        assert_eq!(text.tools, None);
    }

    #[test]
    fn the_description_follows_the_instructions_and_other_conversations_do_not_change() {
        let chat: Conversation =
            vec![ChatMessage::new(Role::System, "Be brief."), ChatMessage::new(Role::User, "Hi")].into();
        assert_eq!(described(&chat).expect("there are no tools"), chat);
        let tools = Some(r#"[{"function": {"name": "f", "parameters": {}}}]"#.to_owned());
        let text = described(&Conversation { tools, ..chat.clone() }).expect("they are tools");
        assert!(text.messages[0].content.starts_with("Be brief.\n\nYou can call"), "{}", text.messages[0].content);
        assert!(described(&Conversation { tools: Some("{}".to_owned()), ..chat }).is_err());
    }
}
