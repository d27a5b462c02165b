//! Around every request: its id, headers, metrics and one log line.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use bytes::Bytes;
use hostler_telemetry::{Gauge, catalogue};

use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::timing::ServerTiming;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_HOSTLER_SCHEDULER: HeaderName = HeaderName::from_static("x-hostler-scheduler");
const X_HOSTLER_ENGINE: HeaderName = HeaderName::from_static("x-hostler-engine");
const X_HOSTLER_IGNORED: HeaderName = HeaderName::from_static("x-hostler-ignored");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The log status of a request whose client left before its answer began.
const CLIENT_LEFT: u16 = 499;

/// The route label of requests that match no route: labels are never a client's.
const NO_ROUTE: &str = "none";

/// The middleware. What it keeps travels on in the response's body, and is
/// accounted for when that has been sent, or is dropped because the client left.
pub(crate) async fn observe(
    shared: web::Data<Shared>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<Observed>, Error> {
    let exchange = Exchange::begin(request.headers().get(X_REQUEST_ID).map(HeaderValue::as_bytes));
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

/// One request in the books, closed by drop.
struct Account {
    exchange: Exchange,
    method: String,
    route: String,
    status: u16,
    error: Option<&'static str>,
    reason: Option<String>,
    complete: bool,
    in_flight: Gauge,
}

impl Account {
    fn open(request: &ServiceRequest, exchange: Exchange, in_flight: &Gauge) -> Self {
        in_flight.increment(1.0);
        Self {
            exchange,
            method: request.method().to_string(),
            route: request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned()),
            status: CLIENT_LEFT,
            error: None,
            reason: None,
            complete: false,
            in_flight: in_flight.clone(),
        }
    }

    fn log(&self) {
        let exchange = &self.exchange;
        let schedulers = exchange.schedulers.borrow();
        let error = self.error.or_else(|| exchange.stream_error.get().map(|code| code.as_str()));
        // A macro, because the level of a log line is fixed where it stands.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    method = self.method,
                    route = self.route,
                    status = self.status,
                    prompt_tokens = exchange.prompt_tokens.get(),
                    tokens = exchange.completion_tokens.get(),
                    ms = u64::try_from(exchange.elapsed().as_millis()).unwrap_or(u64::MAX),
                    scheduler = (!schedulers.is_empty()).then_some(schedulers.as_str()),
                    error,
                    reason = self.reason,
                    disconnected = (!self.complete).then_some(true),
                    request_id = exchange.request_id,
                    "request"
                )
            };
        }
        // Probes and scrapes come every few seconds and say nothing.
        let routine = matches!(self.route.as_str(), "/health" | "/livez" | "/readyz" | "/metrics");
        match self.status {
            500.. if !routine => line!(warn),
            _ if routine => line!(debug),
            _ => line!(info),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
        catalogue::HTTP_REQUESTS.counter(&[&self.route, &self.status.to_string()]).increment(1);
        catalogue::HTTP_SECONDS.histogram(&[&self.route]).record(self.exchange.elapsed().as_secs_f64());
        if !self.complete {
            catalogue::HTTP_DISCONNECTS.counter(&[&self.route]).increment(1);
        }
        self.log();
    }
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
