//! Around every request: its id, the headers of its answer, and its account.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use bytes::Bytes;

use crate::account::Account;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::timing::ServerTiming;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_HOSTLER_SCHEDULER: HeaderName = HeaderName::from_static("x-hostler-scheduler");
const X_HOSTLER_ENGINE: HeaderName = HeaderName::from_static("x-hostler-engine");
const X_HOSTLER_IGNORED: HeaderName = HeaderName::from_static("x-hostler-ignored");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The middleware. What it keeps travels on in the response's body, and is
/// accounted for when that has been sent, or is dropped because the client left.
pub(crate) async fn observe(
    shared: web::Data<Shared>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<Observed>, Error> {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let exchange = Exchange::begin(header(X_REQUEST_ID), header(TRACEPARENT));
    request.extensions_mut().insert(exchange.clone());
    let mut account = Account::open(&request, exchange, &shared.in_flight);

    let mut response = next.call(request).await?;

    account.status = response.status().as_u16();
    account.error = response.response().error().and_then(|error| error.as_error::<ApiError>()).map(ApiError::code);
    if response.status().is_server_error() {
        account.reason = response.response().error().map(ToString::to_string);
    }
    let status = response.status();
    set_headers(response.headers_mut(), &account.exchange, status);
    if shared.is_leaving() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| {
        // A body without bytes is never asked for any.
        account.complete = matches!(body.size(), BodySize::None | BodySize::Sized(0));
        Observed { body, account }
    }))
}

fn set_headers(headers: &mut HeaderMap, exchange: &Exchange, status: StatusCode) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(X_REQUEST_ID, &exchange.request_id);
    if let Some(ignored) = exchange.ignored().filter(|_| status.is_success()) {
        set(X_HOSTLER_IGNORED, &ignored);
    }
    let schedulers = exchange.schedulers.borrow();
    if !schedulers.is_empty() {
        set(X_HOSTLER_SCHEDULER, &schedulers);
    }
    if exchange.simulated.get() {
        set(X_HOSTLER_ENGINE, "simulated");
    }
    let timing = exchange
        .timing
        .get()
        .unwrap_or_else(|| ServerTiming { total: Some(exchange.elapsed()), ..ServerTiming::default() });
    set(SERVER_TIMING, &timing.to_string());
}

/// A response's body with the request's account.
pub(crate) struct Observed {
    body: BoxBody,
    account: Account,
}

impl MessageBody for Observed {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let chunk = Pin::new(&mut self.body).poll_next(context);
        if matches!(chunk, Poll::Ready(None)) {
            self.account.complete = true;
        }
        chunk
    }
}
