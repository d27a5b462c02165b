//! The middleware around every request: its context, its response's headers, its record.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use bytes::Bytes;

use super::anthropic_error::{self, REQUEST_ID};
use super::context::{RequestContext, X_REQUEST_ID};
use super::error::ApiError;
use super::record::RequestRecord;
use super::state::AppState;
use super::timing::ServerTiming;

const X_HOSTLER_SCHEDULER: HeaderName = HeaderName::from_static("x-hostler-scheduler");
const X_HOSTLER_ENGINE: HeaderName = HeaderName::from_static("x-hostler-engine");
const X_HOSTLER_IGNORED: HeaderName = HeaderName::from_static("x-hostler-ignored");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The middleware. The record moves into the response's body, and is written when that has
/// been sent, or is dropped because the client disconnected.
pub(super) async fn observe(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<ObservedBody>, Error> {
    let context = RequestContext::attach(&request);
    let record = RequestRecord::open(context.clone(), &state.in_flight);
    let is_head_only = request.method() == Method::HEAD;
    let is_http_1_0 = request.version() == Version::HTTP_10;

    let mut response = next.call(request).await?;

    let status = response.status();
    context.status.set(status.as_u16());
    let error = response.response().error();
    context.status_error.set(error.and_then(|error| error.as_error::<ApiError>()).map(ApiError::code));
    if status.is_server_error() {
        context.reason.replace(error.map(ToString::to_string));
    }
    let is_anthropic = anthropic_error::applies_to(response.request().path());
    let error = error.and_then(|error| error.as_error::<ApiError>()).filter(|_| is_anthropic);
    let body = error.map(|error| anthropic_error::body(error, &context));
    set_headers(response.headers_mut(), &context, status);
    if is_anthropic {
        if let Ok(id) = HeaderValue::from_str(&context.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(body) = body {
            response = response.map_body(|_, _| BoxBody::new(body));
        }
    }
    if is_http_1_0 && matches!(response.response().body().size(), BodySize::Stream) {
        // HTTP/1.0 has no chunks: the end of the connection ends the body.
        response.response_mut().head_mut().no_chunking(true);
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if state.is_leaving() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| {
        // An empty body is never polled.
        context.complete.set(matches!(body.size(), BodySize::None | BodySize::Sized(0)));
        ObservedBody { body, record, is_head_only }
    }))
}

fn set_headers(headers: &mut HeaderMap, context: &RequestContext, status: StatusCode) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(X_REQUEST_ID, &context.request_id);
    if let Some(ignored) = context.ignored().filter(|_| status.is_success()) {
        set(X_HOSTLER_IGNORED, &ignored);
    }
    let schedulers = context.schedulers.borrow();
    if !schedulers.is_empty() {
        set(X_HOSTLER_SCHEDULER, &schedulers);
    }
    if context.simulated.get() {
        set(X_HOSTLER_ENGINE, "simulated");
    }
    let timing = context
        .timing
        .get()
        .unwrap_or_else(|| ServerTiming { total: Some(context.elapsed()), ..ServerTiming::default() });
    set(SERVER_TIMING, &timing.to_string());
}

/// A response's body with the request's record.
pub(super) struct ObservedBody {
    body: BoxBody,
    record: RequestRecord,
    /// The request's method is HEAD: the response has the headers of its body, which is not sent.
    is_head_only: bool,
}

impl MessageBody for ObservedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // actix would read the body to its end and discard it, also that of an endless stream.
        let chunk = if self.is_head_only { Poll::Ready(None) } else { Pin::new(&mut self.body).poll_next(context) };
        if matches!(chunk, Poll::Ready(None)) {
            self.record.context.complete.set(true);
        }
        chunk
    }
}
