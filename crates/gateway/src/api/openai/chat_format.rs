//! How chat answers are written, in chunks or as a whole.

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::FinishReason;
use serde::Serialize;

use super::chat_logprobs::ChatLogprobs;
use super::envelope::Envelope;
use crate::generation::{Answer, Call, End, Part, Piece, ResponseFormat, Tally, UsageBody};

/// Writes chat answers.
pub(super) struct ChatFormat(Envelope);

impl ChatFormat {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self(envelope)
    }

    fn chunk(&self, out: &mut BytesMut, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>) {
        self.0.chunk(out, "chat.completion.chunk", choices, usage);
    }

    fn delta(&self, out: &mut BytesMut, choice: usize, delta: Delta<'_>, logprobs: Option<ChatLogprobs>) {
        self.chunk(out, &[ChunkChoice { index: choice, delta, logprobs, finish_reason: None }], None);
    }
}

impl ResponseFormat for ChatFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            message: AssistantMessage::new(answer),
            logprobs: (!answer.labelled.is_empty()).then(|| ChatLogprobs::new(&answer.labelled)),
            finish_reason: finish_reason(answer.reason, answer.message.calls().next().is_some()),
        });
        self.0.whole("chat.completion", &choices.collect::<Vec<_>>(), tally.usage())
    }

    fn open(&mut self, out: &mut BytesMut, choice: usize) {
        self.delta(out, choice, Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None);
    }

    /// Log probabilities are written with the first part that a token completes, or alone.
    fn token(&mut self, out: &mut BytesMut, choice: usize, piece: &Piece<'_>) {
        let mut logprobs = piece.label.map(|label| ChatLogprobs::new(std::slice::from_ref(label)));
        for delta in piece.parts.iter().filter_map(Delta::of) {
            self.delta(out, choice, delta, logprobs.take());
        }
        if logprobs.is_some() {
            self.delta(out, choice, Delta { content: Some(""), ..Delta::default() }, logprobs);
        }
    }

    fn close(&mut self, out: &mut BytesMut, choice: usize, end: &End<'_>) {
        for delta in end.parts.iter().filter_map(Delta::of) {
            self.delta(out, choice, delta, None);
        }
        let last = ChunkChoice {
            index: choice,
            delta: Delta::default(),
            logprobs: None,
            finish_reason: Some(finish_reason(end.finish.reason, end.summary.has_called)),
        };
        self.chunk(out, &[last], None);
    }

    fn usage(&self, out: &mut BytesMut, usage: UsageBody) {
        self.chunk(out, &[], Some(usage));
    }
}

/// An answer that was cut says so, also if it has calls.
fn finish_reason(reason: FinishReason, has_called: bool) -> &'static str {
    match reason {
        FinishReason::Stop if has_called => "tool_calls",
        reason => reason.as_str(),
    }
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

/// The first delta of a call has its id, its type and the tool's name.
#[derive(Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> Delta<'a> {
    /// The delta for a part; none for the end of a call.
    fn of(part: &'a Part) -> Option<Self> {
        let call = |index: u32, start: Option<(&'a str, &'a str)>, arguments: &'a str| {
            let (id, name) = start.unzip();
            let function = FunctionDelta { name, arguments };
            let delta = CallDelta { index, id, r#type: start.map(|_| "function"), function };
            Self { tool_calls: Some([delta]), ..Self::default() }
        };
        match part {
            Part::Text(text) => Some(Self { content: Some(text), ..Self::default() }),
            Part::Reasoning(text) => Some(Self { reasoning_content: Some(text), ..Self::default() }),
            Part::CallStart { index, id, name } => Some(call(*index, Some((id, name)), "")),
            Part::Arguments { index, piece } => Some(call(*index, None, piece)),
            Part::CallEnd { .. } => None,
        }
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: AssistantMessage<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct AssistantMessage<'a> {
    role: &'static str,
    /// `null` if the answer is only calls.
    content: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallBody<'a>>,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct CallBody<'a> {
    id: &'a str,
    r#type: &'static str,
    function: FunctionBody<'a>,
}

#[derive(Serialize)]
struct FunctionBody<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> AssistantMessage<'a> {
    fn new(answer: &'a Answer) -> Self {
        let message = &answer.message;
        let call = |Call { id, name, arguments }: &'a Call| CallBody {
            id,
            r#type: "function",
            function: FunctionBody { name, arguments },
        };
        let tool_calls: Vec<_> = message.calls().map(call).collect();
        Self {
            role: "assistant",
            content: Some(message.text()).filter(|text| !text.is_empty() || tool_calls.is_empty()),
            reasoning_content: message.reasoning(),
            tool_calls,
            refusal: None,
        }
    }
}
