//! The spans of a sampled request, recorded when it ends: the request's own and its routing's.
//! Attributes are named as OpenTelemetry's conventions for HTTP and for generative AI do.

use std::borrow::Cow;
use std::time::SystemTime;

use hostler_protocol::TraceContext;
use hostler_telemetry::spans::{self, Span, Value};

use super::context::{RequestContext, SUCCESS};

/// `gen_ai.provider.name`.
const PROVIDER: &str = "hostler";

/// Records the spans of a request that ends now.
pub(super) fn record(span: TraceContext, context: &RequestContext) {
    let elapsed = context.elapsed();
    let start = SystemTime::now() - elapsed;
    let outcome = context.outcome();
    spans::record(|| Span {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent: context.parent.map(|parent| parent.span_id),
        name: name(context),
        server: true,
        start,
        duration: elapsed,
        attributes: attributes(context),
        error: (outcome != SUCCESS).then_some(outcome),
    });
    if let Some((submitted, admitted)) = context.admitted.get() {
        let schedulers = context.schedulers.borrow();
        let mut attributes = vec![("hostler.scheduler", Value::from(schedulers.as_str()))];
        attributes.extend(context.route_reason.get().map(|reason| ("hostler.route.reason", reason.into())));
        spans::record(|| Span {
            trace_id: span.trace_id,
            span_id: span.child().span_id,
            parent: Some(span.span_id),
            name: "route".into(),
            server: false,
            start: start + submitted,
            duration: admitted.saturating_sub(submitted),
            attributes,
            error: None,
        });
    }
}

/// `chat MODEL` for a generation, `METHOD ROUTE` for anything else.
fn name(context: &RequestContext) -> Cow<'static, str> {
    let generation = context.generation.borrow();
    match &*generation {
        Some(generation) => format!("{} {}", operation(&context.route), generation.model).into(),
        None => format!("{} {}", context.method, context.route).into(),
    }
}

fn operation(route: &str) -> &'static str {
    if route.contains("/chat/") || route.starts_with("/v1/messages") { "chat" } else { "text_completion" }
}

fn attributes(context: &RequestContext) -> Vec<(&'static str, Value)> {
    let mut attributes = vec![
        ("http.request.method", context.method.as_str().into()),
        ("http.route", context.route.as_str().into()),
        ("http.response.status_code", u32::from(context.status.get()).into()),
        ("hostler.request_id", context.request_id.as_str().into()),
    ];
    if let Some(error) = context.error() {
        attributes.push(("error.type", error.into()));
    }
    let generation = context.generation.borrow();
    let Some(generation) = &*generation else { return attributes };
    attributes.extend([
        ("gen_ai.operation.name", operation(&context.route).into()),
        ("gen_ai.provider.name", PROVIDER.into()),
        ("gen_ai.request.model", generation.model.as_str().into()),
        ("gen_ai.request.temperature", f64::from(generation.temperature).into()),
        ("gen_ai.response.id", Value::Text(context.id.to_string())),
        ("hostler.tenant", generation.tenant.as_str().into()),
        ("hostler.priority", generation.priority.as_str().into()),
    ]);
    let known = [
        ("gen_ai.request.max_tokens", generation.max_tokens),
        ("gen_ai.usage.input_tokens", context.prompt_tokens.get()),
        ("gen_ai.usage.output_tokens", context.completion_tokens.get()),
    ];
    attributes.extend(known.into_iter().filter_map(|(name, count)| Some((name, count?.into()))));
    if let Some(first_token) = context.first_token.get() {
        attributes.push(("gen_ai.response.time_to_first_token", first_token.as_secs_f64().into()));
    }
    attributes
}
