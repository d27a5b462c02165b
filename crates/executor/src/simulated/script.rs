//! A script: the answers of the simulated engine by turn, so that agents are tested without a model.

use std::sync::Arc;

use hostler_dialect::render_calls;
use hostler_protocol::TokenId;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::codec::{ASSISTANT, Codec};
use crate::TextCodec;

/// One answer of a script.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedTurn {
    /// The reasoning, which is written in `<think>` tags.
    pub reasoning: String,
    /// The text before the calls.
    pub text: String,
    /// The calls of tools.
    pub calls: Vec<ScriptedCall>,
}

/// A call in a script.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool.
    pub name: String,
    /// The arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

impl ScriptedTurn {
    /// The answer as a model would write it.
    fn answer(&self) -> String {
        let arguments: Vec<_> =
            self.calls.iter().map(|call| Value::Object(call.arguments.clone()).to_string()).collect();
        let calls = self.calls.iter().map(|call| call.name.as_str()).zip(arguments.iter().map(String::as_str));
        let answer = render_calls(&self.text, calls);
        if self.reasoning.is_empty() { answer } else { format!("<think>\n{}\n</think>\n\n{answer}", self.reasoning) }
    }
}

/// The answers as tokens.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Arc<[TokenId]>>);

impl Script {
    pub(super) fn new(turns: &[ScriptedTurn]) -> Self {
        let tokens = |turn: &ScriptedTurn| Codec.encode(&turn.answer(), false).unwrap_or_default().into();
        Self(turns.iter().map(tokens).collect())
    }

    /// The answer to a prompt, by the number of the assistant's messages in it. None after the end
    /// of the script, and for a prompt that is no conversation.
    pub(super) fn answer(&self, prompt: &[TokenId]) -> Option<Arc<[TokenId]>> {
        let messages = prompt.iter().filter(|&&token| token == ASSISTANT).count();
        self.0.get(messages.checked_sub(1)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use hostler_protocol::{ChatMessage, Role};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_turn_is_the_number_of_answers_so_far() {
        let turns: Vec<ScriptedTurn> = serde_json::from_value(json!([
            {"reasoning": "Hm.", "text": "I look.", "calls": [{"name": "f", "arguments": {"a": 1}}]},
            {"text": "Done."},
        ]))
        .expect("it is a script");
        let script = Script::new(&turns);
        let mut messages = vec![ChatMessage::new(Role::User, "go")];
        let mut answers = Vec::new();
        for _ in 0..3 {
            let prompt = Codec.render_chat(&messages.clone().into()).expect("it renders");
            let tokens = Codec.encode(&prompt, false).expect("it encodes");
            answers.push(script.answer(&tokens).map(|answer| Codec.decode(&answer).expect("it decodes")));
            messages.push(ChatMessage::new(Role::Assistant, "answer"));
            messages.push(ChatMessage::new(Role::Tool, "result"));
        }
        let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        let first = format!("<think>\nHm.\n</think>\n\nI look.\n{call}");
        assert_eq!(answers, [Some(first), Some("Done.".to_owned()), None]);
        assert_eq!(script.answer(&Codec.encode("a text", true).expect("it encodes")), None);
    }
}
