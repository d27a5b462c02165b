//! How a request's time was spent, as clients see it.

use std::fmt;
use std::time::Duration;

use hostler_protocol::Timings;
use serde::Serialize;

/// The value of a `Server-Timing` header: `queue;dur=1.250, total;dur=80.102`, in
/// milliseconds. Unknown values are omitted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ServerTiming {
    /// From submission until the engine started the request.
    pub(crate) queue: Option<Duration>,
    /// From then until the first token.
    pub(crate) prefill: Option<Duration>,
    /// From the first token until the end.
    pub(crate) decode: Option<Duration>,
    /// From the request's head until now, as the gateway measured it.
    pub(crate) total: Option<Duration>,
}

impl ServerTiming {
    /// The timing of a generation that has ended.
    pub(crate) fn finished(timings: &Timings, total: Duration) -> Self {
        Self {
            queue: Some(timings.queue),
            prefill: Some(timings.prefill),
            decode: Some(timings.decode),
            total: Some(total),
        }
    }
}

impl fmt::Display for ServerTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metrics =
            [("queue", self.queue), ("prefill", self.prefill), ("decode", self.decode), ("total", self.total)];
        let mut separator = "";
        for (name, duration) in metrics {
            if let Some(duration) = duration {
                write!(f, "{separator}{name};dur={:.3}", milliseconds(duration))?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// The same in JSON, for native responses.
#[derive(Serialize)]
pub(crate) struct TimingsBody {
    queue_ms: f64,
    prefill_ms: f64,
    decode_ms: f64,
    total_ms: f64,
}

impl TimingsBody {
    pub(crate) fn new(timings: &Timings, total: Duration) -> Self {
        Self {
            queue_ms: milliseconds(timings.queue),
            prefill_ms: milliseconds(timings.prefill),
            decode_ms: milliseconds(timings.decode),
            total_ms: milliseconds(total),
        }
    }
}

/// The longest of each phase: the generations ran concurrently.
pub(crate) fn longest(mut timings: impl Iterator<Item = Timings>) -> Timings {
    let first = timings.next().unwrap_or_default();
    timings.fold(first, |longest, next| Timings {
        queue: longest.queue.max(next.queue),
        prefill: longest.prefill.max(next.prefill),
        decode: longest.decode.max(next.decode),
    })
}

/// A duration in milliseconds, rounded to microseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_omitted() {
        let timing = ServerTiming {
            queue: Some(Duration::from_micros(1250)),
            total: Some(Duration::from_millis(80)),
            ..ServerTiming::default()
        };
        assert_eq!(timing.to_string(), "queue;dur=1.250, total;dur=80.000");
        assert_eq!(ServerTiming::default().to_string(), "");
    }
}
