//! Messages and the events of their streams, as they are written.

use bytes::BytesMut;
use hostler_protocol::{FinishReason, Usage};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::sse;

/// An event of a stream. Its name is its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    MessageStart { message: Message<'a> },
    Ping,
    ContentBlockStart { index: u32, content_block: ContentBlock<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: MessageDelta<'a>, usage: MessageUsage },
    MessageStop,
}

/// A content block.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ContentBlock<'a> {
    Text {
        text: &'a str,
    },
    /// Answers of other models are signed; these are not.
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Map<String, Value>,
    },
}

/// What is added to a content block.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Delta<'a> {
    TextDelta { text: &'a str },
    ThinkingDelta { thinking: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

/// An answer: whole, or as far as it is known when its stream begins.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<ContentBlock<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: MessageUsage,
}

/// How an answer ended.
#[derive(Serialize)]
pub(super) struct MessageDelta<'a> {
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<&'a str>,
}

/// `usage`: the tokens of a prompt are those of the input plus those read from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct MessageUsage {
    input_tokens: u32,
    cache_creation_input_tokens: u32,
    cache_read_input_tokens: u32,
    output_tokens: u32,
}

impl From<Usage> for MessageUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.completion_tokens,
        }
    }
}

impl Event<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::Ping => "ping",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        sse::named_event(out, self.name(), self);
    }
}

/// `stop_reason`
pub(super) fn stop_reason(reason: FinishReason, stop_sequence: Option<&str>, has_called: bool) -> &'static str {
    match (reason, stop_sequence) {
        (FinishReason::Length, _) => "max_tokens",
        (FinishReason::Stop, Some(_)) => "stop_sequence",
        (FinishReason::Stop, None) if has_called => "tool_use",
        (FinishReason::Stop, None) => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_is_its_type() {
        let events = [
            Event::Ping,
            Event::MessageStop,
            Event::ContentBlockStop { index: 1 },
            Event::ContentBlockDelta { index: 0, delta: Delta::TextDelta { text: "a" } },
        ];
        for event in events {
            let json = serde_json::to_value(&event).expect("it is JSON");
            assert_eq!(json["type"], event.name());
        }
    }

    #[test]
    fn tokens_from_the_cache_are_not_input_tokens() {
        let usage = MessageUsage::from(Usage { prompt_tokens: 10, cached_tokens: 8, completion_tokens: 3 });
        assert_eq!((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (2, 8, 3));
    }
}
