//! How native answers are written.

use std::time::Duration;

use bytes::BytesMut;
use hostler_protocol::{Finish, ModelId, RequestId, Token, TokenId};
use serde::Serialize;

use crate::exchange::Exchange;
use crate::generation::{Answer, LabelledToken, StreamFormat, Tally, UsageBody, event};
use crate::timing::TimingsBody;

/// What all events of an answer have in common.
pub(crate) struct NativeFormat {
    id: String,
    model: ModelId,
    exchange: Exchange,
}

impl NativeFormat {
    pub(crate) fn new(id: RequestId, model: ModelId, exchange: Exchange) -> Self {
        Self { id: format!("gen-{id}"), model, exchange }
    }
}

/// One token of a stream.
#[derive(Serialize)]
struct TokenBody<'a> {
    token: TokenId,
    text: &'a str,
}

/// The last event of a stream but `[DONE]`.
#[derive(Serialize)]
struct StreamEnd<'a> {
    id: &'a str,
    model: &'a str,
    /// Text that was held back while it could be the beginning of a stop sequence.
    text: &'a str,
    finish_reason: &'static str,
    usage: UsageBody,
    timings: TimingsBody,
}

impl StreamFormat for NativeFormat {
    fn open(&self, _: &mut BytesMut, _: usize) {}

    fn token(&self, out: &mut BytesMut, _: usize, token: &Token, _: Option<&LabelledToken>) {
        event(out, &TokenBody { token: token.id, text: &token.text });
    }

    fn close(&self, out: &mut BytesMut, choice: usize, finish: &Finish) {
        let mut tally = Tally::new(1, 1);
        tally.end(choice, finish);
        let end = StreamEnd {
            id: &self.id,
            model: self.model.as_str(),
            text: &finish.text,
            finish_reason: finish.reason.as_str(),
            usage: tally.usage(),
            timings: TimingsBody::new(&finish.timings, self.exchange.elapsed()),
        };
        event(out, &end);
    }

    /// The end of the choice has it already.
    fn usage(&self, _: &mut BytesMut, _: UsageBody) {}
}

/// A whole answer.
#[derive(Serialize)]
pub(crate) struct GeneratedBody<'a> {
    id: &'a str,
    model: &'a str,
    text: &'a str,
    tokens: &'a [TokenId],
    finish_reason: &'static str,
    usage: UsageBody,
    timings: TimingsBody,
}

impl<'a> GeneratedBody<'a> {
    pub(crate) fn new(format: &'a NativeFormat, answer: &'a Answer, tally: &Tally, total: Duration) -> Self {
        Self {
            id: &format.id,
            model: format.model.as_str(),
            text: &answer.text,
            tokens: &answer.tokens,
            finish_reason: answer.reason.as_str(),
            usage: tally.usage(),
            timings: TimingsBody::new(&tally.timings(), total),
        }
    }
}
