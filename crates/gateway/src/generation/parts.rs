//! The parts of an answer: text, reasoning and calls of tools, found while it is generated. Pure.

use std::sync::Arc;

use hostler_dialect::{Event, Parser, Tool};
use hostler_protocol::Dialect;

/// A part of an answer. Texts of the same kind that follow one another belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text of the reasoning.
    Reasoning(String),
    /// Text of the answer.
    Text(String),
    /// A call begins.
    CallStart {
        /// Its position among the answer's calls, from 0.
        index: u32,
        /// Unique in this server: `call_` and 24 characters.
        id: String,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments; all pieces together are JSON, if the model wrote JSON.
    Arguments {
        /// The call.
        index: u32,
        /// The text.
        piece: String,
    },
    /// A call has ended. Every call that has started ends.
    CallEnd {
        /// The call.
        index: u32,
    },
}

/// Finds the parts of one answer.
pub(crate) struct PartReader {
    parser: Parser,
    new_id: fn() -> String,
    open_call: Option<u32>,
    has_called: bool,
    /// Tokens since the last one that belonged to a known part.
    pending_tokens: u32,
    reasoning_tokens: u32,
}

/// What is known of an answer at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartSummary {
    /// It has calls.
    pub(crate) has_called: bool,
    /// Tokens up to the last one that brought text of the reasoning.
    pub(crate) reasoning_tokens: u32,
}

impl PartReader {
    /// A reader of an answer that may call these tools. `new_id` names a call.
    pub(crate) fn new(
        dialect: &Dialect,
        tools: Arc<[Tool]>,
        starts_in_reasoning: bool,
        new_id: fn() -> String,
    ) -> Self {
        let parser = Parser::new(dialect, tools, starts_in_reasoning);
        Self { parser, new_id, open_call: None, has_called: false, pending_tokens: 0, reasoning_tokens: 0 }
    }

    /// The parts that a token completes.
    pub(crate) fn token(&mut self, text: &str) -> Vec<Part> {
        let mut events = Vec::new();
        self.parser.push(text, |event| events.push(event));
        self.pending_tokens += 1;
        if events.iter().any(|event| matches!(event, Event::Reasoning(_))) {
            self.reasoning_tokens += std::mem::take(&mut self.pending_tokens);
        } else if !events.is_empty() {
            self.pending_tokens = 0;
        }
        self.parts(events)
    }

    /// The parts that the rest of the text completes.
    pub(crate) fn finish(mut self, text: &str) -> (Vec<Part>, PartSummary) {
        let mut events = Vec::new();
        self.parser.push(text, |event| events.push(event));
        let parser = std::mem::replace(&mut self.parser, Parser::new(&Dialect::default(), Arc::default(), false));
        parser.finish(|event| events.push(event));
        let mut parts = self.parts(events);
        self.end_call(&mut parts);
        (parts, PartSummary { has_called: self.has_called, reasoning_tokens: self.reasoning_tokens })
    }

    fn parts(&mut self, events: Vec<Event>) -> Vec<Part> {
        let mut parts = Vec::with_capacity(events.len());
        for event in events {
            if !matches!(event, Event::Arguments { .. }) {
                self.end_call(&mut parts);
            }
            parts.push(match event {
                Event::Reasoning(text) => Part::Reasoning(text),
                Event::Content(text) => Part::Text(text),
                Event::Call { index, name } => {
                    self.open_call = Some(index);
                    self.has_called = true;
                    Part::CallStart { index, id: (self.new_id)(), name }
                }
                Event::Arguments { index, piece } => Part::Arguments { index, piece },
            });
        }
        parts
    }

    fn end_call(&mut self, parts: &mut Vec<Part>) {
        parts.extend(self.open_call.take().map(|index| Part::CallEnd { index }));
    }
}

/// An answer as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// In the order in which they were written; two texts of a kind never follow one another.
    pub(crate) items: Vec<Item>,
}

/// A complete part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Reasoning(String),
    Text(String),
    Call(Call),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON, if the model wrote JSON.
    pub(crate) arguments: String,
}

impl Message {
    /// Adds the parts of an answer, in order.
    pub(crate) fn extend(&mut self, parts: Vec<Part>) {
        for part in parts {
            match (part, self.items.last_mut()) {
                (Part::Reasoning(text), Some(Item::Reasoning(last))) | (Part::Text(text), Some(Item::Text(last))) => {
                    last.push_str(&text);
                }
                (Part::Arguments { piece, .. }, Some(Item::Call(call))) => call.arguments.push_str(&piece),
                (Part::Reasoning(text), _) => self.items.push(Item::Reasoning(text)),
                (Part::Text(text), _) => self.items.push(Item::Text(text)),
                (Part::CallStart { id, name, .. }, _) => {
                    self.items.push(Item::Call(Call { id, name, arguments: String::new() }));
                }
                (Part::Arguments { .. } | Part::CallEnd { .. }, _) => {}
            }
        }
    }

    /// All text of the answer.
    pub(crate) fn text(&self) -> String {
        self.items
            .iter()
            .filter_map(|item| if let Item::Text(text) = item { Some(text.as_str()) } else { None })
            .collect()
    }

    /// All text of the reasoning.
    pub(crate) fn reasoning(&self) -> String {
        self.items
            .iter()
            .filter_map(|item| if let Item::Reasoning(text) = item { Some(text.as_str()) } else { None })
            .collect()
    }

    /// The calls, in order.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.items.iter().filter_map(|item| if let Item::Call(call) = item { Some(call) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ReasoningFormat;
    use serde_json::json;

    use super::*;

    fn reader() -> PartReader {
        let dialect = Dialect { reasoning: Some(ReasoningFormat::ThinkTags), ..Dialect::default() };
        let parameters = json!({"type": "object"});
        let tool = Tool { name: "f".to_owned(), description: None, parameters, strict: false };
        PartReader::new(&dialect, Arc::from([tool]), false, || "call_1".to_owned())
    }

    const ANSWER: &str = "<think>Hm, so.</think>I look.<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1]}}</tool_call>\
                          <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";

    #[test]
    fn every_call_that_starts_ends_and_the_parts_are_those_of_the_whole() {
        for size in [1, 3, 7, 1000] {
            let mut reader = reader();
            let mut parts = Vec::new();
            let characters: Vec<char> = ANSWER.chars().collect();
            for token in characters.chunks(size) {
                parts.extend(reader.token(&token.iter().collect::<String>()));
            }
            let (rest, summary) = reader.finish("");
            parts.extend(rest);
            assert!(summary.has_called);
            let mut open = None;
            for part in &parts {
                match part {
                    Part::CallStart { index, .. } => assert_eq!(open.replace(*index), None),
                    Part::Arguments { index, .. } => assert_eq!(open, Some(*index)),
                    Part::CallEnd { index } => assert_eq!(open.take(), Some(*index)),
                    Part::Text(_) | Part::Reasoning(_) => assert_eq!(open, None),
                }
            }
            assert_eq!(open, None);
            let mut message = Message::default();
            message.extend(parts);
            assert_eq!((message.reasoning().as_str(), message.text().as_str()), ("Hm, so.", "I look."));
            let calls: Vec<_> = message.calls().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
            assert_eq!(calls, [("f", "{\"a\": [1]}"), ("f", "{}")], "size {size}");
        }
    }

    #[test]
    fn reasoning_tokens_are_those_up_to_its_end() {
        let mut reader = reader();
        for token in ["<think>", "Hm", ", so", ".", "</think>", "Yes", "."] {
            reader.token(token);
        }
        let (_, summary) = reader.finish("");
        assert_eq!(summary, PartSummary { has_called: false, reasoning_tokens: 4 });
    }
}
