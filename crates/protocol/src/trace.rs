//! The trace context of a request: W3C's `traceparent`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RequestId;

/// The span that a request belongs to; it links the request's spans across processes.
/// This is `traceparent` of W3C Trace Context, level 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The parent of the spans that follow; never 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// The root span of a new trace, whose id is the request's.
    #[must_use]
    pub fn root(id: RequestId, sampled: bool) -> Self {
        Self { trace_id: id.as_u128(), span_id: Self::fresh_span_id(), sampled }
    }

    /// A new child span.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: Self::fresh_span_id(), ..self }
    }

    /// The random half of a new UUID; its highest bit is always set, so it is not 0.
    fn fresh_span_id() -> u64 {
        RequestId::new().as_u128() as u64
    }
}

/// A malformed `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected VERSION-TRACE-SPAN-FLAGS with 2, 32, 16 and 2 lower-case hexadecimal digits and non-zero ids")]
pub struct InvalidTraceContext;

/// The flag bit for a recorded trace.
const SAMPLED: u8 = 1;

/// The supported version, and the one that the standard forbids.
const VERSION: &str = "00";
const FORBIDDEN_VERSION: &str = "ff";

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, sampled } = self;
        write!(f, "{VERSION}-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// Later versions may append fields, which are ignored, as the standard requires.
impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits).ok_or(InvalidTraceContext)?;
            let hexadecimal = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if hexadecimal { Ok(part) } else { Err(InvalidTraceContext) }
        };
        let (version, trace_id, span_id, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == FORBIDDEN_VERSION || version == VERSION && parts.next().is_some() {
            return Err(InvalidTraceContext);
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace_id, 16).map_err(|_| InvalidTraceContext)?,
            span_id: u64::from_str_radix(span_id, 16).map_err(|_| InvalidTraceContext)?,
            sampled: u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceContext)? & SAMPLED != 0,
        };
        if context.trace_id == 0 || context.span_id == 0 { Err(InvalidTraceContext) } else { Ok(context) }
    }
}

impl TryFrom<String> for TraceContext {
    type Error = InvalidTraceContext;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn parsing_and_printing_round_trip() {
        let context: TraceContext = EXAMPLE.parse().expect("the standard's own example");
        assert!(context.sampled);
        assert_eq!(context.to_string(), EXAMPLE);
        let quiet = EXAMPLE.replace("-01", "-00");
        assert_eq!(quiet.parse::<TraceContext>().map(|context| context.to_string()), Ok(quiet));
    }

    #[test]
    fn child_spans_keep_the_trace_id_and_get_new_span_ids() {
        let root = TraceContext::root(RequestId::new(), true);
        let children = [root.child(), root.child()];
        assert!(children.iter().all(|child| child.trace_id == root.trace_id && child.sampled));
        assert!(root.span_id != children[0].span_id && children[0].span_id != children[1].span_id);
        assert_eq!(root.to_string().parse(), Ok(root));
    }

    #[test]
    fn only_later_versions_may_append_fields() {
        assert!(EXAMPLE.replace("00-4", "01-4").parse::<TraceContext>().is_ok());
        assert!(format!("{}-more", EXAMPLE.replace("00-4", "01-4")).parse::<TraceContext>().is_ok());
        assert!(format!("{EXAMPLE}-more").parse::<TraceContext>().is_err());
    }

    #[test]
    fn malformed_contexts_are_refused() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceContext), "{bad}");
        }
    }
}
