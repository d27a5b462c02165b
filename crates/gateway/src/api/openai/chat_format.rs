//! How chat answers are written.

use bytes::BytesMut;
use hostler_protocol::{Finish, ModelId, RequestId, Token};
use serde::Serialize;

use super::envelope::Envelope;
use crate::generation::{Answer, LabelledToken, StreamFormat, UsageBody};

/// Writes one chat answer, in pieces or as a whole.
pub(crate) struct ChatFormat(Envelope);

impl ChatFormat {
    pub(crate) fn new(id: RequestId, model: ModelId, include_usage: bool) -> Self {
        Self(Envelope::new("chatcmpl-", id, model, include_usage))
    }

    /// The answer as a whole.
    pub(crate) fn response<'a>(&'a self, answers: &'a [Answer], usage: UsageBody) -> impl Serialize + 'a {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            message: AssistantMessage { role: "assistant", content: &answer.text, refusal: None },
            logprobs: (!answer.labelled.is_empty()).then(|| ChatLogprobs::new(&answer.labelled)),
            finish_reason: answer.reason.as_str(),
        });
        self.0.response("chat.completion", choices.collect::<Vec<_>>(), usage)
    }

    fn chunk(&self, out: &mut BytesMut, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>) {
        self.0.chunk(out, "chat.completion.chunk", choices, usage);
    }

    fn delta(&self, out: &mut BytesMut, choice: usize, delta: Delta<'_>, logprobs: Option<ChatLogprobs>) {
        self.chunk(out, &[ChunkChoice { index: choice, delta, logprobs, finish_reason: None }], None);
    }
}

impl StreamFormat for ChatFormat {
    fn open(&self, out: &mut BytesMut, choice: usize) {
        self.delta(out, choice, Delta { role: Some("assistant"), content: Some("") }, None);
    }

    fn token(&self, out: &mut BytesMut, choice: usize, token: &Token, label: Option<&LabelledToken>) {
        if token.text.is_empty() && label.is_none() {
            return;
        }
        let logprobs = label.map(|label| ChatLogprobs::new(std::slice::from_ref(label)));
        self.delta(out, choice, Delta { role: None, content: Some(&token.text) }, logprobs);
    }

    fn close(&self, out: &mut BytesMut, choice: usize, finish: &Finish) {
        if !finish.text.is_empty() {
            self.delta(out, choice, Delta { role: None, content: Some(&finish.text) }, None);
        }
        let last = ChunkChoice {
            index: choice,
            delta: Delta { role: None, content: None },
            logprobs: None,
            finish_reason: Some(finish.reason.as_str()),
        };
        self.chunk(out, &[last], None);
    }

    fn usage(&self, out: &mut BytesMut, usage: UsageBody) {
        self.chunk(out, &[], Some(usage));
    }
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
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
    content: &'a str,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatLogprobs {
    content: Vec<ChatLogprob>,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Serialize)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl ChatLogprobs {
    fn new(labelled: &[LabelledToken]) -> Self {
        let content = labelled.iter().map(|LabelledToken { token, top }| ChatLogprob {
            token: token.text(),
            logprob: token.logprob,
            bytes: token.bytes.clone(),
            top_logprobs: top
                .iter()
                .map(|other| TopLogprob { token: other.text(), logprob: other.logprob, bytes: other.bytes.clone() })
                .collect(),
        });
        Self { content: content.collect(), refusal: None }
    }
}
