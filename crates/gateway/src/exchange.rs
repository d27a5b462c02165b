//! What is known of one HTTP request while it is answered.

use std::cell::{Cell, RefCell};
use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use hostler_protocol::{
    Engine, ErrorCode, ModelDescription, ModelId, Priority, RequestError, RequestId, SchedulerId, TraceContext,
};
use hostler_telemetry::spans;

use crate::error::ApiError;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::timing::ServerTiming;

/// The notes that a handler leaves for the response's headers and the log line.
/// One worker thread has it, so cells are enough.
#[derive(Clone)]
pub(crate) struct Exchange(Rc<Notes>);

pub(crate) struct Notes {
    /// The generation's own id, whatever the client calls the request.
    pub(crate) id: RequestId,
    /// What the client calls it, or else `id`.
    pub(crate) request_id: String,
    /// When its head had been read.
    pub(crate) started: Instant,
    pub(crate) schedulers: RefCell<String>,
    pub(crate) simulated: Cell<bool>,
    pub(crate) timing: Cell<Option<ServerTiming>>,
    pub(crate) prompt_tokens: Cell<Option<u32>>,
    pub(crate) completion_tokens: Cell<Option<u32>>,
    /// The failure that a stream ended in, after its head was sent.
    pub(crate) stream_error: Cell<Option<ErrorCode>>,
    /// What is generated for it, once that is known.
    pub(crate) generation: RefCell<Option<GenerationNotes>>,
    /// From its head until the first token.
    pub(crate) first_token: Cell<Option<Duration>>,
    /// The client's span.
    pub(crate) parent: Option<TraceContext>,
    /// Ours, below it; `None` where nobody traces.
    pub(crate) span: Option<TraceContext>,
    /// From its head until it went to the router, and until schedulers had it.
    pub(crate) admitted: Cell<Option<(Duration, Duration)>>,
    ignored: RefCell<Vec<&'static str>>,
}

/// The span of a request. A client that samples its trace has this part of it too.
fn span(id: RequestId, parent: Option<TraceContext>) -> Option<TraceContext> {
    match parent {
        Some(parent) => Some(parent.child()),
        None if spans::enabled() => {
            let root = TraceContext::root(id, false);
            Some(TraceContext { sampled: spans::sampled(root.trace_id), ..root })
        }
        None => None,
    }
}

/// What a generation request asks for, for metrics and traces.
#[derive(Clone, Debug)]
pub(crate) struct GenerationNotes {
    pub(crate) model: ModelId,
    /// The value of the `tenant` label: bounded.
    pub(crate) tenant: String,
    pub(crate) priority: Priority,
    /// Bounds and temperature as they were asked for.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: f32,
}

impl Exchange {
    /// Begins with the client's `x-request-id`, if it is one that can stand in a
    /// log line; another one is replaced, and named among what was ignored.
    ///
    /// A `traceparent` that cannot be read is skipped likewise, and a trace of our own
    /// begins, as W3C asks.
    pub(crate) fn begin(client_id: Option<&[u8]>, traceparent: Option<&[u8]>) -> Self {
        let id = RequestId::new();
        let taken = client_id.and_then(readable_id);
        let mut ignored = Vec::new();
        if client_id.is_some() && taken.is_none() {
            ignored.push("x-request-id");
        }
        let parent = traceparent.and_then(|header| std::str::from_utf8(header).ok()?.trim().parse().ok());
        if traceparent.is_some() && parent.is_none() {
            ignored.push("traceparent");
        }
        Self(Rc::new(Notes {
            id,
            request_id: taken.map_or_else(|| id.to_string(), str::to_owned),
            started: Instant::now(),
            schedulers: RefCell::default(),
            simulated: Cell::default(),
            timing: Cell::default(),
            prompt_tokens: Cell::default(),
            completion_tokens: Cell::default(),
            stream_error: Cell::default(),
            generation: RefCell::default(),
            first_token: Cell::default(),
            parent,
            span: span(id, parent),
            admitted: Cell::default(),
            ignored: RefCell::new(ignored),
        }))
    }

    /// A harmless part of the request that has no effect here.
    pub(crate) fn ignore(&self, field: &'static str) {
        let mut ignored = self.0.ignored.borrow_mut();
        if !ignored.contains(&field) {
            ignored.push(field);
        }
    }

    /// What was ignored, comma-separated; `None` if nothing was.
    pub(crate) fn ignored(&self) -> Option<String> {
        let ignored = self.0.ignored.borrow();
        (!ignored.is_empty()).then(|| ignored.join(", "))
    }

    /// A scheduler took (a part of) the request.
    pub(crate) fn taken_by(&self, scheduler: &SchedulerId, description: &ModelDescription) {
        let mut schedulers = self.0.schedulers.borrow_mut();
        if !schedulers.split(", ").any(|known| known == scheduler.as_str()) {
            if !schedulers.is_empty() {
                schedulers.push_str(", ");
            }
            schedulers.push_str(scheduler.as_str());
        }
        if description.engine == Engine::Simulated {
            self.0.simulated.set(true);
        }
    }

    /// One more token was produced.
    pub(crate) fn count_token(&self) {
        self.0.completion_tokens.set(Some(self.0.completion_tokens.get().unwrap_or(0) + 1));
    }

    /// Time since the request's head.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }
}

impl std::ops::Deref for Exchange {
    type Target = Notes;

    fn deref(&self) -> &Notes {
        &self.0
    }
}

/// Letters, digits and `-_.:/+=`, within the bound.
fn readable_id(id: &[u8]) -> Option<&str> {
    let readable = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(readable);
    fits.then(|| std::str::from_utf8(id).ok()).flatten()
}

impl FromRequest for Exchange {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let exchange = request.extensions().get::<Self>().cloned();
        ready(exchange.ok_or_else(|| RequestError::new(ErrorCode::Internal, "the request was not observed").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_id_is_taken_over_and_another_is_replaced() {
        let taken = Exchange::begin(Some(b"job-7/a.b:c"), None);
        assert_eq!(taken.request_id, "job-7/a.b:c");
        assert_eq!(taken.ignored(), None);
        let long = vec![b'a'; REQUEST_ID_BYTES_MAX + 1];
        for bad in [&b"two words"[..], b"", b"a\"b", "é".as_bytes(), &long] {
            let replaced = Exchange::begin(Some(bad), None);
            assert_eq!(replaced.request_id, replaced.id.to_string());
            assert_eq!(replaced.ignored().as_deref(), Some("x-request-id"));
        }
    }

    #[test]
    fn a_trace_is_gone_on_with_and_one_that_cannot_be_read_is_named() {
        let header = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let exchange = Exchange::begin(None, Some(header));
        let (parent, span) = (exchange.parent.expect("it is readable"), exchange.span.expect("it goes on"));
        assert_eq!((span.trace_id, span.sampled), (parent.trace_id, true));
        assert_ne!(span.span_id, parent.span_id);
        let exchange = Exchange::begin(None, Some(b"nonsense"));
        assert_eq!((exchange.span, exchange.ignored().as_deref()), (None, Some("traceparent")));
    }
}
