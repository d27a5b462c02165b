//! The content blocks of an answer, and the events that stream them. Pure.

use serde_json::{Map, Value, json};

use super::events::{ContentBlock, Delta, Event};
use crate::generation::{Call, Item, Message, Part};

/// The blocks that a stream has opened. Blocks follow one another: each is closed before the next
/// one opens, and one of text without content is never opened.
#[derive(Default)]
pub(super) struct Blocks {
    /// The index of the open block, or of the next one.
    index: u32,
    open: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    ToolUse,
}

impl Blocks {
    /// The events that add a part.
    pub(super) fn part<'a>(&mut self, part: &'a Part) -> Vec<Event<'a>> {
        let mut events = Vec::new();
        match part {
            Part::Text(text) => {
                self.continue_or_open(&mut events, Kind::Text, ContentBlock::Text { text: "" });
                events.push(self.delta(Delta::TextDelta { text }));
            }
            Part::Reasoning(thinking) => {
                let block = ContentBlock::Thinking { thinking: "", signature: "" };
                self.continue_or_open(&mut events, Kind::Thinking, block);
                events.push(self.delta(Delta::ThinkingDelta { thinking }));
            }
            Part::CallStart { id, name, .. } => {
                events.extend(self.close());
                events.push(self.open(Kind::ToolUse, ContentBlock::ToolUse { id, name, input: Map::new() }));
            }
            Part::Arguments { piece, .. } => events.push(self.delta(Delta::InputJsonDelta { partial_json: piece })),
            Part::CallEnd { .. } => events.extend(self.close()),
        }
        events
    }

    /// The event that closes the open block, if there is one.
    pub(super) fn close(&mut self) -> Option<Event<'static>> {
        let index = self.index;
        self.open.take().map(|_| {
            self.index += 1;
            Event::ContentBlockStop { index }
        })
    }

    fn continue_or_open<'a>(&mut self, events: &mut Vec<Event<'a>>, kind: Kind, block: ContentBlock<'a>) {
        if self.open != Some(kind) {
            events.extend(self.close());
            events.push(self.open(kind, block));
        }
    }

    fn open<'a>(&mut self, kind: Kind, content_block: ContentBlock<'a>) -> Event<'a> {
        self.open = Some(kind);
        Event::ContentBlockStart { index: self.index, content_block }
    }

    fn delta<'a>(&self, delta: Delta<'a>) -> Event<'a> {
        Event::ContentBlockDelta { index: self.index, delta }
    }
}

/// The blocks of a whole answer.
pub(super) fn whole(message: &Message) -> Vec<ContentBlock<'_>> {
    let block = |item| match item {
        &Item::Text(ref text) => ContentBlock::Text { text },
        &Item::Reasoning(ref thinking) => ContentBlock::Thinking { thinking, signature: "" },
        &Item::Call(Call { ref id, ref name, ref arguments }) => {
            ContentBlock::ToolUse { id, name, input: input(arguments) }
        }
    };
    message.items.iter().map(block).collect()
}

/// The arguments of a call as the object that a block must have. What is none, because the model
/// wrote it wrongly or was cut, is a text in it.
fn input(arguments: &str) -> Map<String, Value> {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => input,
        _ if arguments.trim().is_empty() => Map::new(),
        _ => Map::from_iter([("INVALID_JSON".to_owned(), json!(arguments))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks that the events describe.
    fn assemble(events: &[Value]) -> Vec<Value> {
        let mut blocks: Vec<Value> = Vec::new();
        let mut open = None;
        let mut json = String::new();
        for event in events {
            let index = event["index"].as_u64();
            match event["type"].as_str() {
                Some("content_block_start") => {
                    assert_eq!((open, index), (None, Some(blocks.len() as u64)), "it opens after the others");
                    open = index;
                    json.clear();
                    blocks.push(event["content_block"].clone());
                }
                Some("content_block_delta") => {
                    assert_eq!(open, index, "the delta is for the open block");
                    let (delta, block) = (&event["delta"], blocks.last_mut().expect("a block is open"));
                    for field in ["text", "thinking"] {
                        if let Some(more) = delta[field].as_str() {
                            block[field] = json!(block[field].as_str().expect("a text").to_owned() + more);
                        }
                    }
                    json.push_str(delta["partial_json"].as_str().unwrap_or_default());
                }
                Some("content_block_stop") => {
                    assert_eq!(open.take(), index, "it was open");
                    let block = blocks.last_mut().expect("a block was open");
                    if block["type"] == "tool_use" {
                        block["input"] = Value::Object(input(&json));
                    }
                }
                other => panic!("an event of something else: {other:?}"),
            }
        }
        assert_eq!(open, None, "every block is closed");
        blocks
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn call(index: u32, pieces: &[&str]) -> Vec<Part> {
        let start = Part::CallStart { index, id: format!("call_{index}"), name: "f".to_owned() };
        let arguments = pieces.iter().map(|piece| Part::Arguments { index, piece: (*piece).to_owned() });
        std::iter::once(start).chain(arguments).chain([Part::CallEnd { index }]).collect()
    }

    #[test]
    fn streamed_blocks_equal_whole_ones_however_the_parts_are_cut() {
        let thought = || Part::Reasoning("hm".to_owned());
        let cases = [
            vec![],
            vec![text("one"), text(" two")],
            [vec![thought(), thought(), text("a")], call(0, &["{\"a\"", ": 1}"]), call(1, &[]), vec![text("b")]]
                .concat(),
            [call(0, &["{\"cut"]), vec![text("a"), thought()]].concat(),
        ];
        for parts in cases {
            let mut blocks = Blocks::default();
            let mut events: Vec<Value> = Vec::new();
            let json = |event: Event<'_>| serde_json::to_value(&event).expect("it is JSON");
            for part in &parts {
                events.extend(blocks.part(part).into_iter().map(json));
            }
            events.extend(blocks.close().map(json));
            assert!(blocks.close().is_none());
            let mut message = Message::default();
            message.extend(parts);
            let expected = serde_json::to_value(whole(&message)).expect("it is JSON");
            assert_eq!(Value::Array(assemble(&events)), expected);
        }
    }

    #[test]
    fn arguments_that_are_no_object_are_a_text_in_one() {
        assert_eq!(Value::Object(input("{\"a\": 1}")), json!({"a": 1}));
        assert_eq!(Value::Object(input("")), json!({}));
        assert_eq!(Value::Object(input("{\"a")), json!({"INVALID_JSON": "{\"a"}));
        assert_eq!(Value::Object(input("[1]")), json!({"INVALID_JSON": "[1]"}));
    }
}
