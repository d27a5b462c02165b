//! What a sampled request leaves behind when it ends: its span, and that of its routing.
//! Attributes are named as OpenTelemetry's conventions for HTTP and for generative AI do.

use std::borrow::Cow;
use std::time::SystemTime;

use hostler_protocol::TraceContext;
use hostler_telemetry::spans::{self, Span, Value};

use crate::account::{Account, SUCCESS};

/// `gen_ai.provider.name`: who answers.
const PROVIDER: &str = "hostler";

/// Records the spans of a request that has ended now.
pub(crate) fn record(context: TraceContext, account: &Account) {
    let exchange = &account.exchange;
    let elapsed = exchange.elapsed();
    let start = SystemTime::now() - elapsed;
    let outcome = account.outcome();
    spans::record(|| Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent: exchange.parent.map(|parent| parent.span_id),
        name: name(account),
        server: true,
        start,
        duration: elapsed,
        attributes: attributes(account),
        error: (outcome != SUCCESS).then_some(outcome),
    });
    if let Some((submitted, admitted)) = exchange.admitted.get() {
        let schedulers = exchange.schedulers.borrow();
        spans::record(|| Span {
            trace_id: context.trace_id,
            span_id: context.child().span_id,
            parent: Some(context.span_id),
            name: "route".into(),
            server: false,
            start: start + submitted,
            duration: admitted.saturating_sub(submitted),
            attributes: vec![("hostler.scheduler", schedulers.as_str().into())],
            error: None,
        });
    }
}

/// `chat MODEL` of a generation, `METHOD ROUTE` of anything else.
fn name(account: &Account) -> Cow<'static, str> {
    let generation = account.exchange.generation.borrow();
    match &*generation {
        Some(generation) => format!("{} {}", operation(&account.route), generation.model).into(),
        None => format!("{} {}", account.method, account.route).into(),
    }
}

fn operation(route: &str) -> &'static str {
    if route.contains("/chat/") { "chat" } else { "text_completion" }
}

fn attributes(account: &Account) -> Vec<(&'static str, Value)> {
    let exchange = &account.exchange;
    let mut attributes = vec![
        ("http.request.method", account.method.as_str().into()),
        ("http.route", account.route.as_str().into()),
        ("http.response.status_code", u32::from(account.status).into()),
        ("hostler.request_id", exchange.request_id.as_str().into()),
    ];
    if let Some(error) = account.error() {
        attributes.push(("error.type", error.into()));
    }
    let generation = exchange.generation.borrow();
    let Some(generation) = &*generation else { return attributes };
    attributes.extend([
        ("gen_ai.operation.name", operation(&account.route).into()),
        ("gen_ai.provider.name", PROVIDER.into()),
        ("gen_ai.request.model", generation.model.as_str().into()),
        ("gen_ai.request.temperature", f64::from(generation.temperature).into()),
        ("gen_ai.response.id", Value::Text(exchange.id.to_string())),
        ("hostler.tenant", generation.tenant.as_str().into()),
        ("hostler.priority", generation.priority.as_str().into()),
    ]);
    let known = [
        ("gen_ai.request.max_tokens", generation.max_tokens),
        ("gen_ai.usage.input_tokens", exchange.prompt_tokens.get()),
        ("gen_ai.usage.output_tokens", exchange.completion_tokens.get()),
    ];
    attributes.extend(known.into_iter().filter_map(|(name, count)| Some((name, count?.into()))));
    if let Some(first_token) = exchange.first_token.get() {
        attributes.push(("gen_ai.response.time_to_first_token", first_token.as_secs_f64().into()));
    }
    attributes
}
