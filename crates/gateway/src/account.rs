//! What is written down of every request when it ends: metrics and one log line.

use actix_web::dev::ServiceRequest;
use hostler_protocol::ErrorCode;
use hostler_telemetry::{Gauge, catalogue};

use crate::exchange::{Exchange, GenerationNotes};
use crate::trace;

/// The log status of a request whose client left before its answer began.
const CLIENT_LEFT: u16 = 499;

/// The route label of requests that match no route: labels are never a client's.
const NO_ROUTE: &str = "none";

/// The outcome of a generation whose client has all of it.
pub(crate) const SUCCESS: &str = "success";

/// One request in the books, closed by drop.
pub(crate) struct Account {
    pub(crate) exchange: Exchange,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) status: u16,
    pub(crate) error: Option<&'static str>,
    pub(crate) reason: Option<String>,
    pub(crate) complete: bool,
    in_flight: Gauge,
}

impl Account {
    pub(crate) fn open(request: &ServiceRequest, exchange: Exchange, in_flight: &Gauge) -> Self {
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

    /// The error that it ended in, whether as its status or in its stream.
    pub(crate) fn error(&self) -> Option<&'static str> {
        self.error.or_else(|| self.exchange.stream_error.get().map(ErrorCode::as_str))
    }

    /// How a generation ended, as its client saw it. A client that left has
    /// cancelled, whatever became of the rest.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.error() {
            Some(error) => error,
            None if self.complete => SUCCESS,
            None => ErrorCode::Cancelled.as_str(),
        }
    }

    fn count_generation(&self, generation: &GenerationNotes, seconds: f64) {
        let GenerationNotes { model, tenant, priority, .. } = generation;
        let (model, priority) = (model.as_str(), priority.as_str());
        let exchange = &self.exchange;
        catalogue::ANSWERS.counter(&[model, tenant, priority, self.outcome()]).increment(1);
        catalogue::ANSWER_SECONDS.histogram(&[model, priority]).record(seconds);
        if let Some(first_token) = exchange.first_token.get() {
            catalogue::ANSWER_FIRST_TOKEN.histogram(&[model, priority]).record(first_token);
        }
        let tokens = |count: Option<u32>| u64::from(count.unwrap_or(0));
        catalogue::ANSWER_PROMPT_TOKENS.counter(&[model, tenant]).increment(tokens(exchange.prompt_tokens.get()));
        catalogue::ANSWER_TOKENS.counter(&[model, tenant]).increment(tokens(exchange.completion_tokens.get()));
    }

    /// What `trace` records of it, unless it says nothing.
    fn record(&self) {
        if let Some(span) = self.exchange.span.filter(|span| span.sampled && !self.routine()) {
            trace::record(span, self);
        }
    }

    /// Probes and scrapes come every few seconds and say nothing.
    fn routine(&self) -> bool {
        matches!(self.route.as_str(), "/health" | "/livez" | "/readyz" | "/metrics")
    }

    fn log(&self) {
        let exchange = &self.exchange;
        let schedulers = exchange.schedulers.borrow();
        let error = self.error();
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
                    trace_id = exchange.span.map(|span| format!("{:032x}", span.trace_id)),
                    "request"
                )
            };
        }
        let routine = self.routine();
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
        let seconds = self.exchange.elapsed().as_secs_f64();
        catalogue::HTTP_SECONDS.histogram(&[&self.route]).record(seconds);
        if !self.complete {
            catalogue::HTTP_DISCONNECTS.counter(&[&self.route]).increment(1);
        }
        if let Some(generation) = &*self.exchange.generation.borrow() {
            self.count_generation(generation, seconds);
        }
        self.record();
        self.log();
    }
}
