//! Where the time of a request went, as clients are told.

use std::fmt;
use std::time::Duration;

use hostler_protocol::Timings;
use serde::Serialize;

/// The value of a `Server-Timing` header: `queue;dur=1.250, total;dur=80.102`, in
/// milliseconds. What is not known (yet) is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ServerTiming {
    /// From submission until the engine began.
    pub(crate) queue: Option<Duration>,
    /// From there until the first token.
    pub(crate) prefill: Option<Duration>,
    /// From the first token until the end.
    pub(crate) decode: Option<Duration>,
    /// From the request's head until now, as the gateway saw it.
    pub(crate) total: Option<Duration>,
}

impl ServerTiming {
    /// Of a generation that has ended.
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

/// The same in JSON, for native answers.
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

/// Of several generations, the longest of each: they ran side by side.
pub(crate) fn longest(mut timings: impl Iterator<Item = Timings>) -> Timings {
    let first = timings.next().unwrap_or_default();
    timings.fold(first, |longest, next| Timings {
        queue: longest.queue.max(next.queue),
        prefill: longest.prefill.max(next.prefill),
        decode: longest.decode.max(next.decode),
    })
}

/// A duration in milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out() {
        let timing = ServerTiming {
            queue: Some(Duration::from_micros(1250)),
            total: Some(Duration::from_millis(80)),
            ..ServerTiming::default()
        };
        assert_eq!(timing.to_string(), "queue;dur=1.250, total;dur=80.000");
        assert_eq!(ServerTiming::default().to_string(), "");
    }
}
