//! Tools for models whose chat template has none, described in the system message.

use serde_json::{Value, json};

use crate::tool::Tool;

/// The system message's text that describes the tools, and the tags in which to call them, which
/// are those of `hermes`.
#[must_use]
pub fn describe(tools: &[Tool]) -> String {
    let tools: Vec<_> = tools.iter().map(|tool| tool.to_template().to_string()).collect();
    format!(
        "You can call functions to answer the user. The functions, one a line, with the JSON schema of their \
         arguments:\n<tools>\n{}\n</tools>\n\nTo call a function, write its name and its arguments as a JSON object \
         between tags, and nothing after it. Repeat the tags to call several functions:\n<tool_call>\n\
         {{\"name\": \"the function's name\", \"arguments\": {{\"an argument\": \"its value\"}}}}\n</tool_call>\n\n\
         You get each result between <tool_response> tags. If no function is needed, answer without tags.",
        tools.join("\n")
    )
}

/// An assistant's message with calls, as text for a template without tools. The arguments are
/// JSON text.
#[must_use]
pub fn render_calls<'a>(content: &str, calls: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = content.to_owned();
    for (name, arguments) in calls {
        if !text.is_empty() {
            text.push('\n');
        }
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
        text +=
            &format!("<tool_call>\n{{\"name\": {}, \"arguments\": {}}}\n</tool_call>", json!(name), spaced(&arguments));
    }
    text
}

/// The result of a call, as text of a user's message for a template without tools.
#[must_use]
pub fn render_result(content: &str) -> String {
    format!("<tool_response>\n{content}\n</tool_response>")
}

/// JSON with a space behind each comma and colon, as models are trained to write it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{}: {}", json!(key), spaced(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_rendered_as_they_are_parsed() {
        let rendered = render_calls("I look.", [("stop", "{\"a\":[1,{\"b\":\"x, y: z\"}],\"c\":null}"), ("go", "{}")]);
        assert_eq!(
            rendered,
            "I look.\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {\"a\": [1, {\"b\": \"x, y: z\"}], \"c\": null}}\n\
             </tool_call>\n<tool_call>\n{\"name\": \"go\", \"arguments\": {}}\n</tool_call>"
        );
        // Arguments that a model wrote wrongly are a string.
        assert_eq!(
            render_calls("", [("go", "{")]),
            "<tool_call>\n{\"name\": \"go\", \"arguments\": \"{\"}\n</tool_call>"
        );
        assert_eq!(render_result("It rains."), "<tool_response>\nIt rains.\n</tool_response>");
    }

    #[test]
    fn each_tool_is_described() {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            description: Some("Does it.".to_owned()),
            parameters: json!({"type": "object"}),
            strict: false,
        };
        let text = describe(&[tool("go"), tool("stop")]);
        for name in ["go", "stop"] {
            let line = json!({"type": "function", "function": {"name": name, "description": "Does it.",
                              "parameters": {"type": "object"}}})
            .to_string();
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
