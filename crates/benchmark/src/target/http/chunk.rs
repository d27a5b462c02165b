//! The part of OpenAI's answers that a benchmark reads.

use serde::Deserialize;
use serde_json::Value;

/// A chunk of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    error: Option<Value>,
}

/// Token counts; `null` in all chunks but the last.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u32,
    pub(super) completion_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Delta>,
    text: Option<String>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
    tool_calls: Option<Value>,
}

impl Chunk {
    /// Whether it brings text, of the answer, of the reasoning before it, or of
    /// a tool call.
    pub(super) fn has_text(&self) -> bool {
        let some = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        self.choices.iter().any(|choice| {
            some(&choice.text)
                || choice.delta.as_ref().is_some_and(|delta| {
                    some(&delta.content) || some(&delta.reasoning_content) || delta.tool_calls.is_some()
                })
        })
    }

    /// The text of the answer that it brings.
    pub(super) fn content(&self) -> &str {
        let Some(choice) = self.choices.first() else { return "" };
        let delta = || choice.delta.as_ref()?.content.as_deref();
        choice.text.as_deref().or_else(delta).unwrap_or_default()
    }

    /// Whether the answer ends here.
    pub(super) fn finishes(&self) -> bool {
        self.choices.iter().any(|choice| choice.finish_reason.is_some())
    }

    /// What went wrong, in the server's words.
    pub(super) fn error(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn text_is_told_from_formalities() {
        assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#).has_text());
        assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#).has_text());
        assert!(!chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#).has_text());
        assert!(chunk(r#"{"choices":[{"delta":{"content":" a"}}]}"#).has_text());
        assert!(chunk(r#"{"choices":[{"delta":{"reasoning_content":"so"}}]}"#).has_text());
        assert!(chunk(r#"{"choices":[{"text":"\n","finish_reason":"length"}]}"#).finishes());
    }

    #[test]
    fn errors_are_told_in_the_servers_words() {
        assert_eq!(chunk(r#"{"error":{"message":"no","type":"x"}}"#).error().as_deref(), Some("no"));
        assert_eq!(chunk(r#"{"error":"no"}"#).error().as_deref(), Some("\"no\""));
        assert_eq!(chunk(r#"{"choices":[]}"#).error(), None);
    }
}
