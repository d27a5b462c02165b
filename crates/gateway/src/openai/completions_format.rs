//! How completions are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::BytesMut;
use hostler_protocol::{Finish, ModelId, RequestId, Token};
use serde::Serialize;

use crate::generation::{Answer, LabelledToken, StreamFormat, UsageBody, event};
use crate::shared::unix_seconds;

/// What all chunks of an answer have in common.
pub(crate) struct CompletionFormat {
    id: String,
    created: u64,
    model: ModelId,
    /// With usage asked for, OpenAI writes `"usage": null` into every other chunk.
    null_usage: bool,
}

impl CompletionFormat {
    pub(crate) fn new(id: RequestId, model: ModelId, include_usage: bool) -> Self {
        Self { id: format!("cmpl-{id}"), created: unix_seconds(), model, null_usage: include_usage }
    }

    fn chunk(&self, out: &mut BytesMut, choices: &[Choice<'_>], usage: Option<UsageBody>) {
        let chunk = Chunk {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: self.model.as_str(),
            choices,
            usage: self.null_usage.then_some(usage),
        };
        event(out, &chunk);
    }
}

impl StreamFormat for CompletionFormat {
    /// Completions have no opening chunk.
    fn open(&self, _: &mut BytesMut, _: usize) {}

    fn token(&self, out: &mut BytesMut, choice: usize, token: &Token, label: Option<&LabelledToken>) {
        if token.text.is_empty() && label.is_none() {
            return;
        }
        let logprobs = label.map(|label| CompletionLogprobs::new(std::slice::from_ref(label)));
        self.chunk(out, &[Choice { index: choice, text: &token.text, logprobs, finish_reason: None }], None);
    }

    fn close(&self, out: &mut BytesMut, choice: usize, finish: &Finish) {
        let finish_reason = Some(finish.reason.as_str());
        self.chunk(out, &[Choice { index: choice, text: &finish.text, logprobs: None, finish_reason }], None);
    }

    fn usage(&self, out: &mut BytesMut, usage: UsageBody) {
        self.chunk(out, &[], Some(usage));
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageBody>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<CompletionLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// An answer as a whole.
#[derive(Serialize)]
pub(crate) struct CompletionResponse<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    usage: UsageBody,
}

impl<'a> CompletionResponse<'a> {
    pub(crate) fn new(format: &'a CompletionFormat, answers: &'a [Answer], usage: UsageBody) -> Self {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            text: &answer.text,
            logprobs: (!answer.labelled.is_empty()).then(|| CompletionLogprobs::new(&answer.labelled)),
            finish_reason: Some(answer.reason.as_str()),
        });
        Self {
            id: &format.id,
            object: "text_completion",
            created: format.created,
            model: format.model.as_str(),
            choices: choices.collect(),
            usage,
        }
    }
}

/// The older shape: four lists side by side.
#[derive(Serialize)]
struct CompletionLogprobs<'a> {
    tokens: Vec<Cow<'a, str>>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<Cow<'a, str>, f32>>,
    /// Where each token begins, in characters, from the first of these tokens.
    text_offset: Vec<usize>,
}

impl<'a> CompletionLogprobs<'a> {
    fn new(labelled: &'a [LabelledToken]) -> Self {
        let mut logprobs = Self {
            tokens: Vec::with_capacity(labelled.len()),
            token_logprobs: Vec::with_capacity(labelled.len()),
            top_logprobs: Vec::with_capacity(labelled.len()),
            text_offset: Vec::with_capacity(labelled.len()),
        };
        let mut offset = 0;
        for LabelledToken { token, top } in labelled {
            let text = String::from_utf8_lossy(&token.bytes);
            logprobs.text_offset.push(offset);
            offset += text.chars().count();
            logprobs.tokens.push(text);
            logprobs.token_logprobs.push(token.logprob);
            let top = top.iter().map(|other| (String::from_utf8_lossy(&other.bytes), other.logprob));
            logprobs.top_logprobs.push(top.collect());
        }
        logprobs
    }
}
