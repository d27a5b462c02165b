//! Spans: what is recorded of a traced request, and where it goes.
//!
//! A span is written down when it has ended, by whoever knows its times. So nothing
//! follows a request around but the ids of its trace, and a request that is not
//! sampled costs nothing. What becomes of a span is for the [`SpanSink`] to say that the
//! program installs; without one, nothing is recorded.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace that it belongs to; not 0.
    pub trace_id: u128,
    /// Its own id, unique in the trace; not 0.
    pub span_id: u64,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// What it is, in few and bounded words.
    pub name: Cow<'static, str>,
    /// Whether a client of this program waited for it; its parent is then the client's.
    pub server: bool,
    /// When it began.
    pub start: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What else is known, under the names of OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, Value)>,
    /// The error code that it ended in.
    pub error: Option<&'static str>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text from a bounded set, or an id; never a prompt.
    Text(String),
    /// A count.
    Whole(i64),
    /// A quantity.
    Real(f64),
    /// Several words.
    List(Vec<&'static str>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(i64::from(number))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// Takes spans. It must not block: it is called where tokens are made.
pub trait SpanSink: Send + Sync {
    /// A span has ended.
    fn record(&self, span: Span);
}

struct Tracer {
    sink: Box<dyn SpanSink>,
    /// Traces whose id ends in less than this are sampled.
    below: u64,
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// The bits of a trace id that are random by W3C's Trace Context, level 2.
const RANDOM_BITS: u32 = 56;

/// Says where spans go, and which share of the traces that begin here is sampled, from
/// 0 to 1. The first call counts; whether this was it.
pub fn install(sink: Box<dyn SpanSink>, sample_ratio: f64) -> bool {
    TRACER.set(Tracer { sink, below: threshold(sample_ratio) }).is_ok()
}

/// Whether spans are recorded at all.
#[must_use]
pub fn enabled() -> bool {
    TRACER.get().is_some()
}

/// Whether a trace that begins here is sampled. Every program that is told the same
/// ratio says the same of a trace.
#[must_use]
pub fn sampled(trace_id: u128) -> bool {
    TRACER.get().is_some_and(|tracer| random_part(trace_id) < tracer.below)
}

/// Records a span, unless nobody wants any. The span is only made if one is wanted.
pub fn record(span: impl FnOnce() -> Span) {
    if let Some(tracer) = TRACER.get() {
        tracer.sink.record(span());
    }
}

fn threshold(sample_ratio: f64) -> u64 {
    // A float has 53 bits; what is rounded away does not matter to a share.
    (sample_ratio.clamp(0.0, 1.0) * (1_u64 << RANDOM_BITS) as f64) as u64
}

fn random_part(trace_id: u128) -> u64 {
    (trace_id & ((1 << RANDOM_BITS) - 1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_some_or_all_are_sampled() {
        let ids = (0..1000_u128).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let share = |ratio| ids.clone().filter(|&id| random_part(id) < threshold(ratio)).count();
        assert_eq!((share(0.0), share(1.0)), (0, 1000));
        let tenth = share(0.1);
        assert!((50..200).contains(&tenth), "{tenth} of 1000");
    }

    #[test]
    fn without_a_sink_nothing_is_sampled_or_made() {
        assert!(!enabled() && !sampled(1));
        record(|| panic!("nobody wants it"));
    }
}
