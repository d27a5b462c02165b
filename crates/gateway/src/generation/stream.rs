//! Answers that are sent token by token: server-sent events.
//!
//! The body is pulled: the connection asks for more when it could write what it
//! had, so a client that does not read makes nothing pile up here.

use std::convert::Infallible;

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::{HttpResponse, web};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use hostler_protocol::{ErrorCode, Finish, RequestError, Token, TokenEvent};
use serde::Serialize;

use super::labels::{LabelledToken, label};
use super::start::Begun;
use super::usage::{Tally, UsageBody};
use crate::error::ErrorBody;
use crate::exchange::Exchange;
use crate::limits::FRAME_BYTES;
use crate::shared::Shared;
use crate::timing::ServerTiming;

/// How an endpoint writes its chunks. `choice` counts from 0.
pub(crate) trait StreamFormat: 'static {
    /// Before the first token of a choice.
    fn open(&self, out: &mut BytesMut, choice: usize);
    /// A token; `label` where log probabilities were asked for.
    fn token(&self, out: &mut BytesMut, choice: usize, token: &Token, label: Option<&LabelledToken>);
    /// The end of a choice, with the text that was held back.
    fn close(&self, out: &mut BytesMut, choice: usize, finish: &Finish);
    /// After the end of all, if usage was asked for.
    fn usage(&self, out: &mut BytesMut, usage: UsageBody);
}

/// Writes one event.
pub(crate) fn event(out: &mut BytesMut, body: &impl Serialize) {
    out.put_slice(b"data: ");
    serde_json::to_writer(out.writer(), body).expect("structs of numbers and strings go into memory without fail");
    out.put_slice(b"\n\n");
}

/// The response that streams what has begun.
pub(crate) fn respond(
    shared: web::Data<Shared>,
    exchange: Exchange,
    begun: Begun,
    include_usage: bool,
    format: impl StreamFormat,
) -> HttpResponse {
    let tally = Tally::new(begun.choices, begun.n);
    let opened = vec![false; begun.choices];
    let writer = Writer {
        shared,
        exchange,
        begun,
        format,
        include_usage,
        tally,
        opened,
        out: BytesMut::with_capacity(FRAME_BYTES),
        done: false,
    };
    let body = stream::unfold(writer, |mut writer| async move {
        let frame = writer.frame().await?;
        Some((Ok::<_, Infallible>(frame), writer))
    });
    HttpResponse::Ok()
        .insert_header(ContentType(actix_web::mime::TEXT_EVENT_STREAM))
        .insert_header((CACHE_CONTROL, "no-cache"))
        // nginx would hold tokens back until its buffer is full.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body)
}

struct Writer<F> {
    shared: web::Data<Shared>,
    exchange: Exchange,
    begun: Begun,
    format: F,
    include_usage: bool,
    tally: Tally,
    opened: Vec<bool>,
    out: BytesMut,
    done: bool,
}

impl<F: StreamFormat> Writer<F> {
    /// The next bytes: what is there already, or else what comes next. `None`
    /// after the last.
    async fn frame(&mut self) -> Option<Bytes> {
        while !self.done && self.out.is_empty() {
            let next = match self.begun.first.take() {
                Some(first) => Some(first),
                None => self.begun.running.next().await,
            };
            let (choice, event) = next?;
            self.write(choice, event).await;
            while !self.done && self.out.len() < FRAME_BYTES {
                let Some((choice, event)) = self.begun.running.ready() else { break };
                self.write(choice, event).await;
            }
        }
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    async fn write(&mut self, choice: usize, event: TokenEvent) {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => {
                self.exchange.count_token();
                self.open(choice);
                match self.label(&token).await {
                    Ok(label) => self.format.token(&mut self.out, choice, &token, label.as_ref()),
                    Err(error) => self.fail(&error),
                }
            }
            TokenEvent::Finished(finish) => {
                self.open(choice);
                self.format.close(&mut self.out, choice, &finish);
                self.tally.end(choice, &finish);
                if self.tally.all_ended() {
                    self.end();
                }
            }
            TokenEvent::Failed(error) => self.fail(&error),
        }
    }

    fn open(&mut self, choice: usize) {
        if !std::mem::replace(&mut self.opened[choice], true) {
            self.format.open(&mut self.out, choice);
        }
    }

    async fn label(&self, token: &Token) -> Result<Option<LabelledToken>, RequestError> {
        if token.logprob.is_none() {
            return Ok(None);
        }
        let mut labels = label(&self.shared.router, &self.begun.model, std::slice::from_ref(token)).await?;
        Ok(labels.pop())
    }

    /// The head is out, so a failure is an event of its own.
    fn fail(&mut self, error: &RequestError) {
        let code: ErrorCode = error.code;
        self.exchange.stream_error.set(Some(code));
        self.out.put_slice(b"event: error\n");
        event(&mut self.out, &ErrorBody::new(error));
        self.finish_stream();
    }

    fn end(&mut self) {
        if self.include_usage {
            self.format.usage(&mut self.out, self.tally.usage());
        }
        // A comment: clients skip it, people and curl see it.
        let timing = ServerTiming::finished(&self.tally.timings(), self.exchange.elapsed());
        self.out.put_slice(format!(": server-timing {timing}\n\n").as_bytes());
        self.finish_stream();
    }

    fn finish_stream(&mut self) {
        self.out.put_slice(b"data: [DONE]\n\n");
        self.done = true;
    }
}
