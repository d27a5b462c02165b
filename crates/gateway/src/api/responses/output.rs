//! The items of an answer, and the events that tell of them. Pure.

use hostler_protocol::RequestId;
use serde_json::{Value, json};

use crate::generation::{Answer, Item, Part};

/// Takes an event: its type, and its fields.
pub(super) type Emit<'a> = &'a mut dyn FnMut(&'static str, Value);

/// The items of an answer that is generated.
pub(super) struct Output {
    id: RequestId,
    done: Vec<Value>,
    open: Option<Open>,
}

/// The item that is generated now.
enum Open {
    Reasoning(String),
    Message(String),
    Call { call_id: String, name: String, arguments: String },
}

impl Output {
    pub(super) fn new(id: RequestId) -> Self {
        Self { id, done: Vec::new(), open: None }
    }

    /// The items of an answer that was generated as a whole.
    pub(super) fn of(id: RequestId, answer: &Answer, status: &'static str) -> Vec<Value> {
        let mut output = Self::new(id);
        let ignore: Emit<'_> = &mut |_, _| {};
        for (index, item) in (0..).zip(&answer.message.items) {
            match item {
                Item::Reasoning(text) => output.part(&Part::Reasoning(text.clone()), ignore),
                Item::Text(text) => output.part(&Part::Text(text.clone()), ignore),
                Item::Call(call) => {
                    output.part(&Part::CallStart { index, id: call.id.clone(), name: call.name.clone() }, ignore);
                    output.part(&Part::Arguments { index, piece: call.arguments.clone() }, ignore);
                    output.part(&Part::CallEnd { index }, ignore);
                }
            }
        }
        output.close(status, ignore);
        output.done
    }

    /// A part of the answer follows.
    pub(super) fn part(&mut self, part: &Part, emit: Emit<'_>) {
        match (part, &mut self.open) {
            (Part::Text(_), Some(Open::Message(_))) | (Part::Reasoning(_), Some(Open::Reasoning(_))) => {}
            (Part::Text(_), _) => self.start(Open::Message(String::new()), emit),
            (Part::Reasoning(_), _) => self.start(Open::Reasoning(String::new()), emit),
            (Part::CallStart { id, name, .. }, _) => {
                let (call_id, name) = (id.clone(), name.clone());
                self.start(Open::Call { call_id, name, arguments: String::new() }, emit);
            }
            (Part::CallEnd { .. }, _) => self.end("completed", emit),
            (Part::Arguments { .. }, _) => {}
        }
        if let Part::Text(piece) | Part::Reasoning(piece) | Part::Arguments { piece, .. } = part {
            self.delta(piece, emit);
        }
    }

    /// The answer ends; `status` is that of its last item, if it is still open. An answer without
    /// any item becomes an empty message.
    pub(super) fn close(&mut self, status: &'static str, emit: Emit<'_>) {
        if self.done.is_empty() && self.open.is_none() {
            self.start(Open::Message(String::new()), emit);
        }
        self.end(status, emit);
    }

    /// The items that are complete.
    pub(super) fn done(&self) -> &[Value] {
        &self.done
    }

    fn start(&mut self, open: Open, emit: Emit<'_>) {
        self.end("completed", emit);
        let (index, id) = (self.done.len(), self.item_id(&open));
        let mut item = open.item(&id, "in_progress");
        if let Some(content) = item.get_mut("content") {
            *content = json!([]);
        }
        emit("response.output_item.added", json!({"output_index": index, "item": item}));
        if let Some(part) = open.content() {
            let fields = json!({"item_id": id, "output_index": index, "content_index": 0, "part": part});
            emit("response.content_part.added", fields);
        }
        self.open = Some(open);
    }

    fn delta(&mut self, piece: &str, emit: Emit<'_>) {
        let (index, Some(open)) = (self.done.len(), &mut self.open) else { return };
        if piece.is_empty() {
            return;
        }
        let id = item_id(self.id, index, open);
        let fields = json!({"item_id": id, "output_index": index, "content_index": 0, "delta": piece});
        match open {
            Open::Reasoning(text) => {
                text.push_str(piece);
                emit("response.reasoning_text.delta", fields);
            }
            Open::Message(text) => {
                text.push_str(piece);
                let mut fields = fields;
                fields["logprobs"] = json!([]);
                emit("response.output_text.delta", fields);
            }
            Open::Call { arguments, .. } => {
                arguments.push_str(piece);
                let fields = json!({"item_id": id, "output_index": index, "delta": piece});
                emit("response.function_call_arguments.delta", fields);
            }
        }
    }

    fn end(&mut self, status: &'static str, emit: Emit<'_>) {
        let Some(open) = self.open.take() else { return };
        let (index, id) = (self.done.len(), self.item_id(&open));
        let of_content = json!({"item_id": id, "output_index": index, "content_index": 0});
        let with = |name: &str, value: Value| {
            let mut fields = of_content.clone();
            fields[name] = value;
            fields
        };
        match &open {
            Open::Reasoning(text) => emit("response.reasoning_text.done", with("text", json!(text))),
            Open::Message(text) => {
                let mut fields = with("text", json!(text));
                fields["logprobs"] = json!([]);
                emit("response.output_text.done", fields);
            }
            Open::Call { name, arguments, .. } => {
                let fields = json!({"item_id": id, "output_index": index, "name": name, "arguments": arguments});
                emit("response.function_call_arguments.done", fields);
            }
        }
        if let Some(part) = open.content() {
            emit("response.content_part.done", with("part", part));
        }
        let item = open.item(&id, status);
        emit("response.output_item.done", json!({"output_index": index, "item": item}));
        self.done.push(item);
    }

    fn item_id(&self, open: &Open) -> String {
        item_id(self.id, self.done.len(), open)
    }
}

fn item_id(id: RequestId, index: usize, open: &Open) -> String {
    let prefix = match open {
        Open::Reasoning(_) => "rs",
        Open::Message(_) => "msg",
        Open::Call { .. } => "fc",
    };
    format!("{prefix}_{id}_{index}")
}

impl Open {
    fn item(&self, id: &str, status: &str) -> Value {
        match self {
            Self::Reasoning(_) => {
                json!({"id": id, "type": "reasoning", "status": status, "summary": [], "content": [self.content()]})
            }
            Self::Message(_) => {
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [self.content()]})
            }
            Self::Call { call_id, name, arguments } => {
                json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name, "arguments": arguments})
            }
        }
    }

    fn content(&self) -> Option<Value> {
        match self {
            Self::Reasoning(text) => Some(json!({"type": "reasoning_text", "text": text})),
            Self::Message(text) => {
                Some(json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}))
            }
            Self::Call { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    /// Two calls after a reasoned text, of which the last one is cut.
    fn parts() -> Vec<Part> {
        let call = |index: u32| {
            let id = format!("call_{index}");
            let piece = |piece: &str| Part::Arguments { index, piece: piece.to_owned() };
            [
                Part::CallStart { index, id, name: "f".to_owned() },
                piece("{\"a\""),
                piece(": 1}"),
                Part::CallEnd { index },
            ]
        };
        let reasoning = |text: &str| Part::Reasoning(text.to_owned());
        let answer = [reasoning("H"), reasoning("m"), text("I "), text("look."), text("")];
        answer.into_iter().chain((0..2).flat_map(call)).collect()
    }

    #[test]
    fn deltas_add_up_to_what_their_ends_say() {
        let mut output = Output::new(RequestId::new());
        let mut events: Vec<(&str, Value)> = Vec::new();
        for part in parts() {
            output.part(&part, &mut |name, fields| events.push((name, fields)));
        }
        output.close("completed", &mut |name, fields| events.push((name, fields)));
        let kinds: Vec<_> = output.done().iter().map(|item| item["type"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call"]);
        for (index, item) in output.done().iter().enumerate() {
            let own: Vec<_> = events.iter().filter(|(_, fields)| fields["output_index"] == json!(index)).collect();
            assert_eq!((own[0].0, own[own.len() - 1].0), ("response.output_item.added", "response.output_item.done"));
            assert_eq!(own[own.len() - 1].1["item"], *item);
            let deltas: String = own.iter().filter_map(|(_, fields)| fields["delta"].as_str()).collect();
            let done = own.iter().find_map(|(name, fields)| {
                let field = fields.get("text").or_else(|| fields.get("arguments"));
                name.ends_with(".done").then_some(field).flatten()
            });
            assert_eq!(done, Some(&json!(deltas)));
            let ids = own.iter().filter_map(|(_, fields)| fields.get("item_id"));
            assert!(ids.into_iter().all(|id| *id == item["id"]));
        }
    }

    #[test]
    fn an_answer_without_text_is_an_empty_message() {
        let mut output = Output::new(RequestId::new());
        output.close("completed", &mut |_, _| {});
        assert_eq!(output.done()[0]["content"][0]["text"], json!(""));
    }
}
