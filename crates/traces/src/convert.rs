//! Conversion of spans to OpenTelemetry's types.

use hostler_telemetry::spans::{Span, Value};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Converts a span; only sampled spans are recorded.
pub(crate) fn span(span: Span, instrumentation_scope: InstrumentationScope) -> SpanData {
    let (trace_id, span_id) = (TraceId::from_bytes(span.trace_id.to_be_bytes()), span_id(span.span_id));
    SpanData {
        span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: span.parent.map_or(SpanId::INVALID, self::span_id),
        parent_span_is_remote: span.server && span.parent.is_some(),
        span_kind: if span.server { SpanKind::Server } else { SpanKind::Internal },
        name: span.name,
        start_time: span.start,
        end_time: span.start + span.duration,
        attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, attribute(value))).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope,
    }
}

fn span_id(id: u64) -> SpanId {
    SpanId::from_bytes(id.to_be_bytes())
}

fn attribute(value: Value) -> opentelemetry::Value {
    match value {
        Value::Text(text) => text.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::List(words) => {
            let words: Vec<StringValue> = words.into_iter().map(StringValue::from).collect();
            opentelemetry::Value::Array(Array::String(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn ids_times_and_errors_are_converted() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let recorded = Span {
            trace_id: 0xabc,
            span_id: 0xdef,
            parent: Some(0x123),
            name: "route".into(),
            server: false,
            start,
            duration: Duration::from_millis(5),
            attributes: vec![("tokens", 3_u32.into()), ("reasons", Value::List(vec!["stop"]))],
            error: Some("cancelled"),
        };
        let data = span(recorded, InstrumentationScope::default());
        assert_eq!(data.span_context.trace_id().to_string(), format!("{:032x}", 0xabc));
        assert_eq!(data.span_context.span_id().to_string(), format!("{:016x}", 0xdef));
        assert_eq!(data.parent_span_id.to_string(), format!("{:016x}", 0x123));
        assert_eq!(data.end_time.duration_since(start).ok(), Some(Duration::from_millis(5)));
        assert_eq!(data.status, Status::error("cancelled"));
        assert!(data.span_context.is_sampled() && !data.parent_span_is_remote);
        assert_eq!(data.attributes.len(), 2);
    }
}
