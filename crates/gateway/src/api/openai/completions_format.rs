//! How completions are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::BytesMut;
use hostler_protocol::{Finish, ModelId, RequestId, Token};
use serde::Serialize;

use super::envelope::Envelope;
use crate::generation::{Answer, LabelledToken, StreamFormat, UsageBody};

/// Writes one completion, in pieces or as a whole.
pub(crate) struct CompletionFormat(Envelope);

/// Chunks and whole answers have the same name.
const OBJECT: &str = "text_completion";

impl CompletionFormat {
    pub(crate) fn new(id: RequestId, model: ModelId, include_usage: bool) -> Self {
        Self(Envelope::new("cmpl-", id, model, include_usage))
    }

    /// The answer as a whole.
    pub(crate) fn response<'a>(&'a self, answers: &'a [Answer], usage: UsageBody) -> impl Serialize + 'a {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            text: &answer.text,
            logprobs: (!answer.labelled.is_empty()).then(|| CompletionLogprobs::new(&answer.labelled)),
            finish_reason: Some(answer.reason.as_str()),
        });
        self.0.response(OBJECT, choices.collect::<Vec<_>>(), usage)
    }

    fn chunk(&self, out: &mut BytesMut, choices: &[Choice<'_>], usage: Option<UsageBody>) {
        self.0.chunk(out, OBJECT, choices, usage);
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
struct Choice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<CompletionLogprobs<'a>>,
    finish_reason: Option<&'static str>,
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
