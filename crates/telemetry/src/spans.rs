//! The spans of traced requests.
//!
//! A span is recorded when it has ended, by the code that measured its times. A request
//! carries only the ids of its trace, and a request that is not sampled costs nothing.
//! The program installs a [`SpanSink`], which receives the spans; without one, nothing is
//! recorded.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The id of its trace; not 0.
    pub trace_id: u128,
    /// Its id, unique in the trace; not 0.
    pub span_id: u64,
    /// The id of the parent span.
    pub parent: Option<u64>,
    /// The name, from a bounded set.
    pub name: Cow<'static, str>,
    /// Whether this is the span of a client's request; its parent is then the client's.
    pub server: bool,
    /// The start.
    pub start: SystemTime,
    /// The duration.
    pub duration: Duration,
    /// Attributes, named by OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, Value)>,
    /// The error code, if it failed.
    pub error: Option<&'static str>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text from a bounded set, or an id; never a prompt.
    Text(String),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A list of words.
    List(Vec<&'static str>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

/// Receives spans. It must not block, because the engine's thread calls it.
pub trait SpanSink: Send + Sync {
    /// Receives a span that has ended.
    fn record(&self, span: Span);
}

struct Tracer {
    sink: Box<dyn SpanSink>,
    /// Traces are sampled if the random part of their id is below this.
    below: u64,
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Number of random bits of a trace id by W3C Trace Context, level 2.
const RANDOM_BITS: u32 = 56;

/// Installs the sink, and the share of the traces starting in this process that is
/// sampled, from 0 to 1. Only the first call has an effect; returns whether this was it.
pub fn install(sink: Box<dyn SpanSink>, sample_ratio: f64) -> bool {
    TRACER.set(Tracer { sink, below: threshold(sample_ratio) }).is_ok()
}

/// Whether a sink is installed.
#[must_use]
pub fn enabled() -> bool {
    TRACER.get().is_some()
}

/// Whether a trace that starts in this process is sampled. All processes with the same
/// ratio decide alike for the same trace id.
#[must_use]
pub fn sampled(trace_id: u128) -> bool {
    TRACER.get().is_some_and(|tracer| random_part(trace_id) < tracer.below)
}

/// Records a span. `span` is only called if a sink is installed.
pub fn record(span: impl FnOnce() -> Span) {
    if let Some(tracer) = TRACER.get() {
        tracer.sink.record(span());
    }
}

fn threshold(sample_ratio: f64) -> u64 {
    // A float has 53 bits; the rounding error is irrelevant for a share.
    (sample_ratio.clamp(0.0, 1.0) * (1_u64 << RANDOM_BITS) as f64) as u64
}

fn random_part(trace_id: u128) -> u64 {
    (trace_id & ((1 << RANDOM_BITS) - 1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sampled_share_follows_the_ratio() {
        let ids = (0..1000_u128).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let share = |ratio| ids.clone().filter(|&id| random_part(id) < threshold(ratio)).count();
        assert_eq!((share(0.0), share(1.0)), (0, 1000));
        let tenth = share(0.1);
        assert!((50..200).contains(&tenth), "{tenth} of 1000");
    }

    #[test]
    fn without_a_sink_nothing_is_sampled_or_recorded() {
        assert!(!enabled() && !sampled(1));
        record(|| panic!("no sink is installed"));
    }
}
