//! The record of a request: metrics, spans and one log line, written when it ends.

use hostler_telemetry::{Gauge, catalogue};

use super::context::{GenerationLabels, RequestContext};
use super::trace;

/// Counts a request as in flight, and records it when dropped, however it ended.
pub(super) struct RequestRecord {
    pub(super) context: RequestContext,
    in_flight: Gauge,
}

impl RequestRecord {
    pub(super) fn open(context: RequestContext, in_flight: &Gauge) -> Self {
        in_flight.increment(1.0);
        Self { context, in_flight: in_flight.clone() }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let context = &self.context;
        let route = context.route.as_str();
        self.in_flight.decrement(1.0);
        catalogue::HTTP_REQUESTS.counter(&[route, &context.status.get().to_string()]).increment(1);
        let seconds = context.elapsed().as_secs_f64();
        catalogue::HTTP_SECONDS.histogram(&[route]).record(seconds);
        if !context.complete.get() {
            catalogue::HTTP_DISCONNECTS.counter(&[route]).increment(1);
        }
        if let Some(generation) = &*context.generation.borrow() {
            count_generation(context, generation, seconds);
        }
        // Probes and scrapes arrive every few seconds and carry no information.
        let is_routine = matches!(route, "/health" | "/livez" | "/readyz" | "/metrics");
        if let Some(span) = context.span.filter(|span| span.sampled && !is_routine) {
            trace::record(span, context);
        }
        log(context, is_routine);
    }
}

fn count_generation(context: &RequestContext, generation: &GenerationLabels, seconds: f64) {
    let GenerationLabels { model, tenant, priority, .. } = generation;
    let (model, priority) = (model.as_str(), priority.as_str());
    catalogue::ANSWERS.counter(&[model, tenant, priority, context.outcome()]).increment(1);
    catalogue::ANSWER_SECONDS.histogram(&[model, priority]).record(seconds);
    if let Some(first_token) = context.first_token.get() {
        catalogue::ANSWER_FIRST_TOKEN.histogram(&[model, priority]).record(first_token);
    }
    let tokens = |count: Option<u32>| u64::from(count.unwrap_or(0));
    catalogue::ANSWER_PROMPT_TOKENS.counter(&[model, tenant]).increment(tokens(context.prompt_tokens.get()));
    catalogue::ANSWER_TOKENS.counter(&[model, tenant]).increment(tokens(context.completion_tokens.get()));
}

fn log(context: &RequestContext, is_routine: bool) {
    let schedulers = context.schedulers.borrow();
    let reason = context.reason.borrow();
    // A macro, because tracing fixes the level of a log line at compile time.
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                method = context.method,
                route = context.route,
                status = context.status.get(),
                prompt_tokens = context.prompt_tokens.get(),
                tokens = context.completion_tokens.get(),
                ms = u64::try_from(context.elapsed().as_millis()).unwrap_or(u64::MAX),
                scheduler = (!schedulers.is_empty()).then_some(schedulers.as_str()),
                error = context.error(),
                reason = reason.as_deref(),
                disconnected = (!context.complete.get()).then_some(true),
                request_id = context.request_id,
                trace_id = context.span.map(|span| format!("{:032x}", span.trace_id)),
                "request"
            )
        };
    }
    match context.status.get() {
        _ if is_routine => line!(debug),
        500.. => line!(warn),
        _ => line!(info),
    }
}
