//! What is known of one HTTP request, from its head until its answer has been sent.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use hostler_protocol::{
    Engine, ErrorCode, ModelDescription, ModelId, Priority, RequestError, RequestId, SchedulerId, TraceContext,
};
use hostler_telemetry::spans;

use super::error::ApiError;
use super::limits::REQUEST_ID_BYTES_MAX;
use super::timing::ServerTiming;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The route label of requests that match no route: a label never comes from a client.
const NO_ROUTE: &str = "none";

/// The status that is recorded if the client disconnects before the answer's head.
const CLIENT_DISCONNECTED: u16 = 499;

/// The outcome of a generation whose client received all of it.
pub(crate) const SUCCESS: &str = "success";

/// One request's data, shared by its handler, its response body and the middleware that
/// records it. It stays on one worker thread, so cells are enough.
#[derive(Clone)]
pub(crate) struct RequestContext(Rc<Fields>);

pub(crate) struct Fields {
    /// The generation's own id, whatever the client calls the request.
    pub(crate) id: RequestId,
    /// The client's name for the request, or else `id`.
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) route: String,
    /// When the request's head had been read.
    pub(crate) started: Instant,
    /// The client's span.
    pub(crate) parent: Option<TraceContext>,
    /// This request's span; `None` while tracing is off.
    pub(crate) span: Option<TraceContext>,
    ignored: RefCell<Vec<Cow<'static, str>>>,

    /// What is generated, once that is known.
    pub(crate) generation: RefCell<Option<GenerationLabels>>,
    pub(crate) schedulers: RefCell<String>,
    /// Why the router chose the last of them.
    pub(crate) route_reason: Cell<Option<&'static str>>,
    pub(crate) simulated: Cell<bool>,
    /// From the request's head until it was submitted to the router, and until schedulers
    /// had accepted it.
    pub(crate) admitted: Cell<Option<(Duration, Duration)>>,
    /// From the request's head until the first token.
    pub(crate) first_token: Cell<Option<Duration>>,
    pub(crate) timing: Cell<Option<ServerTiming>>,
    pub(crate) prompt_tokens: Cell<Option<u32>>,
    pub(crate) completion_tokens: Cell<Option<u32>>,

    pub(crate) status: Cell<u16>,
    /// The code of the error that the response is.
    pub(crate) status_error: Cell<Option<&'static str>>,
    /// The message of that error, where it is a server error.
    pub(crate) reason: RefCell<Option<String>>,
    /// The failure that ended a stream after its head was sent.
    pub(crate) stream_error: Cell<Option<ErrorCode>>,
    /// Whether the whole body was handed to the connection.
    pub(crate) complete: Cell<bool>,
}

/// What a generation request asks for, for metrics and traces.
#[derive(Clone, Debug)]
pub(crate) struct GenerationLabels {
    pub(crate) model: ModelId,
    /// The value of the `tenant` label: bounded.
    pub(crate) tenant: String,
    pub(crate) priority: Priority,
    /// As requested, before defaults.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: f32,
}

impl RequestContext {
    /// Opens the context of a request and attaches it, for handlers to extract.
    pub(crate) fn attach(request: &ServiceRequest) -> Self {
        let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
        let route = request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned());
        let context = Self::new(request.method().as_str(), route, header(X_REQUEST_ID), header(TRACEPARENT));
        request.extensions_mut().insert(context.clone());
        context
    }

    /// Takes the client's `x-request-id` if it is safe to write to a log line; otherwise it is
    /// replaced and reported as ignored.
    ///
    /// A `traceparent` that cannot be parsed is ignored likewise, and a new trace begins, as
    /// W3C's recommendation requires.
    fn new(method: &str, route: String, client_id: Option<&[u8]>, traceparent: Option<&[u8]>) -> Self {
        let id = RequestId::new();
        let accepted = client_id.and_then(loggable_id);
        let mut ignored = Vec::new();
        if client_id.is_some() && accepted.is_none() {
            ignored.push("x-request-id".into());
        }
        let parent = traceparent.and_then(|header| std::str::from_utf8(header).ok()?.trim().parse().ok());
        if traceparent.is_some() && parent.is_none() {
            ignored.push("traceparent".into());
        }
        Self(Rc::new(Fields {
            id,
            request_id: accepted.map_or_else(|| id.to_string(), str::to_owned),
            method: method.to_owned(),
            route,
            started: Instant::now(),
            parent,
            span: span(id, parent),
            ignored: RefCell::new(ignored),
            generation: RefCell::default(),
            schedulers: RefCell::default(),
            route_reason: Cell::default(),
            simulated: Cell::default(),
            admitted: Cell::default(),
            first_token: Cell::default(),
            timing: Cell::default(),
            prompt_tokens: Cell::default(),
            completion_tokens: Cell::default(),
            status: Cell::new(CLIENT_DISCONNECTED),
            status_error: Cell::default(),
            reason: RefCell::default(),
            stream_error: Cell::default(),
            complete: Cell::default(),
        }))
    }

    /// The context of no request in particular.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        Self::new("POST", NO_ROUTE.to_owned(), None, None)
    }

    /// Reports a harmless part of the request that has no effect.
    pub(crate) fn ignore(&self, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
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

    /// A scheduler accepted the request, or one of its generations.
    pub(crate) fn accepted_by(&self, scheduler: &SchedulerId, description: &ModelDescription) {
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

    /// One more token was generated.
    pub(crate) fn count_token(&self) {
        self.0.completion_tokens.set(Some(self.0.completion_tokens.get().unwrap_or(0) + 1));
    }

    /// Time since the request's head was read.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The code of the error that ended the request, as its status or in its stream.
    pub(crate) fn error(&self) -> Option<&'static str> {
        self.0.status_error.get().or_else(|| self.0.stream_error.get().map(ErrorCode::as_str))
    }

    /// How a generation ended, as its client saw it. A client that disconnected has cancelled
    /// it, whatever happened to the rest.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.error() {
            Some(error) => error,
            None if self.0.complete.get() => SUCCESS,
            None => ErrorCode::Cancelled.as_str(),
        }
    }
}

impl std::ops::Deref for RequestContext {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

/// The span of a request. If the client samples its trace, this part is sampled too.
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

/// Letters, digits and `-_.:/+=`, within the length limit.
fn loggable_id(id: &[u8]) -> Option<&str> {
    let loggable = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(loggable);
    fits.then(|| std::str::from_utf8(id).ok()).flatten()
}

impl FromRequest for RequestContext {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let context = request.extensions().get::<Self>().cloned();
        ready(context.ok_or_else(|| RequestError::new(ErrorCode::Internal, "the request has no context").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(client_id: Option<&[u8]>, traceparent: Option<&[u8]>) -> RequestContext {
        RequestContext::new("GET", NO_ROUTE.to_owned(), client_id, traceparent)
    }

    #[test]
    fn a_loggable_id_is_accepted_and_another_is_replaced() {
        let accepted = context(Some(b"job-7/a.b:c"), None);
        assert_eq!(accepted.request_id, "job-7/a.b:c");
        assert_eq!(accepted.ignored(), None);
        let long = vec![b'a'; REQUEST_ID_BYTES_MAX + 1];
        for bad in [&b"two words"[..], b"", b"a\"b", "é".as_bytes(), &long] {
            let replaced = context(Some(bad), None);
            assert_eq!(replaced.request_id, replaced.id.to_string());
            assert_eq!(replaced.ignored().as_deref(), Some("x-request-id"));
        }
    }

    #[test]
    fn a_client_trace_is_continued_and_an_invalid_one_is_reported() {
        let header = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context_with_trace = context(None, Some(header));
        let parent = context_with_trace.parent.expect("the header is valid");
        let span = context_with_trace.span.expect("the trace is continued");
        assert_eq!((span.trace_id, span.sampled), (parent.trace_id, true));
        assert_ne!(span.span_id, parent.span_id);
        let invalid = context(None, Some(b"nonsense"));
        assert_eq!((invalid.span, invalid.ignored().as_deref()), (None, Some("traceparent")));
    }
}
