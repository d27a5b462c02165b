//! Answers that are sent token by token.

use actix_web::{HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures::stream;
use hostler_protocol::{Finish, RequestError, Token, TokenEvent};

use super::answer::{Answer, Tally, UsageBody};
use super::labels::{LabelledToken, label};
use super::parts::{Part, PartReader, PartSummary};
use super::start::StartedGeneration;
use crate::http::context::RequestContext;
use crate::http::limits::FRAME_BYTES;
use crate::http::sse;
use crate::http::state::AppState;
use crate::http::timing::ServerTiming;

/// How an endpoint writes its answers. `choice` counts from 0.
pub(crate) trait ResponseFormat: 'static {
    /// All answers as a whole.
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse;
    /// Written before the first token of a choice.
    fn open(&mut self, out: &mut BytesMut, choice: usize);
    /// A token.
    fn token(&mut self, out: &mut BytesMut, choice: usize, piece: &Piece<'_>);
    /// The end of a choice, with the text that was held back.
    fn close(&mut self, out: &mut BytesMut, choice: usize, end: &End<'_>);
    /// Written after the end of all choices, if usage was requested.
    fn usage(&self, out: &mut BytesMut, usage: UsageBody);
    /// The last event of a stream that succeeded.
    fn end(&self, out: &mut BytesMut) {
        sse::done(out);
    }
    /// The last events of a stream that failed after its head was sent.
    fn error(&self, out: &mut BytesMut, error: &RequestError) {
        sse::error(out, error);
        sse::done(out);
    }
}

/// What a token adds to an answer.
pub(crate) struct Piece<'a> {
    pub(crate) token: &'a Token,
    /// The parts that it completes, for endpoints that read them.
    pub(crate) parts: &'a [Part],
    /// Present if log probabilities were requested.
    pub(crate) label: Option<&'a LabelledToken>,
}

/// How an answer ends.
pub(crate) struct End<'a> {
    /// Includes the text that was held back.
    pub(crate) finish: &'a Finish,
    /// The parts that this text completes, for endpoints that read them.
    pub(crate) parts: &'a [Part],
    pub(crate) summary: PartSummary,
}

/// The response that streams the started generations.
pub(super) fn stream_response(
    state: web::Data<AppState>,
    context: RequestContext,
    started: StartedGeneration,
    include_usage: bool,
    format: impl ResponseFormat,
) -> HttpResponse {
    let tally = Tally::new(started.choices, started.n);
    let opened = vec![false; started.choices];
    let readers = std::iter::repeat_with(|| None).take(started.choices).collect();
    let writer = StreamWriter {
        state,
        context,
        started,
        format,
        include_usage,
        tally,
        opened,
        readers,
        out: BytesMut::with_capacity(FRAME_BYTES),
        done: false,
    };
    sse::response(stream::unfold(writer, |mut writer| async move {
        let frame = writer.frame().await?;
        Some((frame, writer))
    }))
}

struct StreamWriter<F> {
    state: web::Data<AppState>,
    context: RequestContext,
    started: StartedGeneration,
    format: F,
    include_usage: bool,
    tally: Tally,
    opened: Vec<bool>,
    /// The readers of the choices that are open.
    readers: Vec<Option<PartReader>>,
    out: BytesMut,
    done: bool,
}

impl<F: ResponseFormat> StreamWriter<F> {
    /// The next bytes: all events that are ready, but at least one. `None` after the last.
    async fn frame(&mut self) -> Option<Bytes> {
        while !self.done && self.out.is_empty() {
            let next = match self.started.first.take() {
                Some(first) => Some(first),
                None => self.started.running.next().await,
            };
            let (choice, event) = next?;
            self.write(choice, event).await;
            while !self.done && self.out.len() < FRAME_BYTES {
                let Some((choice, event)) = self.started.running.ready() else { break };
                self.write(choice, event).await;
            }
        }
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    async fn write(&mut self, choice: usize, event: TokenEvent) {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => {
                self.context.count_token();
                self.open(choice);
                let parts = self.readers[choice].as_mut().map(|reader| reader.token(&token.text)).unwrap_or_default();
                match self.label(&token).await {
                    Ok(label) => {
                        let piece = Piece { token: &token, parts: &parts, label: label.as_ref() };
                        self.format.token(&mut self.out, choice, &piece);
                    }
                    Err(error) => self.fail(&error),
                }
            }
            TokenEvent::Finished(finish) => {
                self.open(choice);
                let reader = self.readers[choice].take();
                let (parts, summary) = reader.map(|reader| reader.finish(&finish.text)).unwrap_or_default();
                self.format.close(&mut self.out, choice, &End { finish: &finish, parts: &parts, summary });
                self.tally.end(choice, &finish);
                self.tally.reasoned(summary.reasoning_tokens);
                if self.tally.all_ended() {
                    self.end();
                }
            }
            TokenEvent::Failed(error) => self.fail(&error),
        }
    }

    fn open(&mut self, choice: usize) {
        if !std::mem::replace(&mut self.opened[choice], true) {
            self.readers[choice] = self.started.part_reader(choice);
            self.format.open(&mut self.out, choice);
        }
    }

    async fn label(&self, token: &Token) -> Result<Option<LabelledToken>, RequestError> {
        if token.logprob.is_none() {
            return Ok(None);
        }
        let mut labels = label(&self.state.router, &self.started.model, std::slice::from_ref(token)).await?;
        Ok(labels.pop())
    }

    /// The head has been sent, so the failure becomes an event.
    fn fail(&mut self, error: &RequestError) {
        self.context.stream_error.set(Some(error.code));
        self.format.error(&mut self.out, error);
        self.done = true;
    }

    fn end(&mut self) {
        if self.include_usage {
            self.format.usage(&mut self.out, self.tally.usage());
        }
        let timing = ServerTiming::finished(&self.tally.timings(), self.context.elapsed());
        sse::comment(&mut self.out, &format!("server-timing {timing}"));
        self.format.end(&mut self.out);
        self.done = true;
    }
}
