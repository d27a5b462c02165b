//! Answers as the parser splits them.

use std::sync::Arc;

use hostler_dialect::{Event, Parser, Tool};
use hostler_protocol::{Dialect, ReasoningFormat, ToolFormat};
use serde_json::json;

/// What an answer contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) reasoning: String,
    pub(crate) content: String,
    /// Names and arguments.
    pub(crate) calls: Vec<(String, String)>,
    pub(crate) cut: bool,
}

pub(crate) fn tools() -> Arc<[Tool]> {
    let weather = json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}, "hourly": {"type": "boolean"},
        "places": {"type": "array", "items": {"type": "string"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}});
    [("get_weather", weather), ("stop", json!({"type": "object", "properties": {}}))]
        .map(|(name, parameters)| Tool { name: name.to_owned(), description: None, parameters, strict: false })
        .into()
}

pub(crate) fn dialect(tools: Option<ToolFormat>, reasoning: Option<ReasoningFormat>) -> Dialect {
    Dialect { tools, template_renders_tools: tools.is_some(), reasoning, ..Dialect::default() }
}

/// The answer in these pieces.
pub(crate) fn parse<'a>(
    dialect: &Dialect,
    starts_in_reasoning: bool,
    pieces: impl IntoIterator<Item = &'a str>,
) -> Answer {
    let mut answer = Answer::default();
    let mut parser = Parser::new(dialect, tools(), starts_in_reasoning);
    let mut record = |event| match event {
        Event::Reasoning(text) => answer.reasoning.push_str(&text),
        Event::Content(text) => answer.content.push_str(&text),
        Event::Call { index, name } => {
            assert_eq!(index as usize, answer.calls.len());
            answer.calls.push((name, String::new()));
        }
        Event::Arguments { index, piece } => {
            assert_eq!(index as usize, answer.calls.len() - 1);
            answer.calls[index as usize].1.push_str(&piece);
        }
    };
    for piece in pieces {
        parser.push(piece, &mut record);
    }
    let has_called = parser.has_called();
    let cut = parser.finish(&mut record);
    answer.cut = cut;
    assert_eq!(has_called, !answer.calls.is_empty());
    answer
}

/// The answer, which must be the same for each cut into two pieces, and for single characters.
pub(crate) fn parse_all_ways(dialect: &Dialect, starts_in_reasoning: bool, text: &str) -> Answer {
    let whole = parse(dialect, starts_in_reasoning, [text]);
    for (at, _) in text.char_indices() {
        let (left, right) = text.split_at(at);
        assert_eq!(parse(dialect, starts_in_reasoning, [left, right]), whole, "cut at {at}");
    }
    let characters = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
    assert_eq!(parse(dialect, starts_in_reasoning, characters), whole, "in single characters");
    whole
}
