//! Load shapes: when requests are sent. Pure: no clock, no I/O.

mod arrivals;
mod sweep;
mod trend;

pub use arrivals::Arrivals;
pub use sweep::{Sweep, SweepPoint};
pub use trend::{Trend, is_over_saturated};

use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// Highest rate, in requests per second. Far above what one generator sends; it keeps
/// the gap between two arrivals above the clock's resolution.
const RATE_MAX: f64 = 1_000_000.0;

/// Most requests in flight in a closed loop: each is a task and, over HTTP, a connection,
/// of which a process may commonly open 1,024 to 65,536.
const CONCURRENCY_MAX: u32 = 10_000;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// One after the other.
    Synchronous,
    /// A constant number in flight (closed loop): a new request is sent when one ends.
    Concurrent {
        /// Requests in flight.
        concurrency: u32,
    },
    /// At even intervals, regardless of answers (open loop).
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// A Poisson process (open loop): exponential intervals.
    Poisson {
        /// Requests per second, on average.
        rate: f64,
    },
    /// At a rate that changes linearly and then stays constant (open loop).
    Ramp {
        /// Requests per second at the start.
        from_rate: f64,
        /// Requests per second at the end.
        to_rate: f64,
        /// Duration of the change.
        seconds: f64,
    },
    /// At the times of the workload's trace (open loop).
    Replay {
        /// Multiple of the recorded rate.
        speed: f64,
    },
}

/// The loop that sends the requests of a shape.
#[derive(Clone, Debug)]
pub enum Pace {
    /// A new request whenever one ends.
    Closed {
        /// Requests in flight.
        in_flight: u32,
    },
    /// A request at each of these times.
    Open(Arrivals),
}

/// An invalid shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(String);

impl Shape {
    /// Validates every number.
    ///
    /// # Errors
    /// Names the invalid number and the allowed range.
    pub fn validate(&self) -> Result<(), ShapeError> {
        match *self {
            Self::Synchronous => Ok(()),
            Self::Concurrent { concurrency } if (1..=CONCURRENCY_MAX).contains(&concurrency) => Ok(()),
            Self::Concurrent { concurrency } => {
                Err(ShapeError(format!("the concurrency is {concurrency}; it must be 1 to {CONCURRENCY_MAX}")))
            }
            Self::Constant { rate } | Self::Poisson { rate } => check_rate(rate),
            Self::Ramp { from_rate, to_rate, seconds } => {
                check_rate(from_rate)?;
                check_rate(to_rate)?;
                if seconds.is_finite() && seconds > 0.0 {
                    return Ok(());
                }
                Err(ShapeError(format!("the ramp takes {seconds} seconds; it must take more than 0")))
            }
            Self::Replay { speed } if speed.is_finite() && speed > 0.0 => Ok(()),
            Self::Replay { speed } => Err(ShapeError(format!("the replay's speed is {speed}; it must be more than 0"))),
        }
    }

    /// The loop for this shape. Random arrivals follow from the workload's seed, those of a
    /// replay from its trace.
    #[must_use]
    pub fn pace(&self, workload: &Workload) -> Pace {
        match *self {
            Self::Synchronous => Pace::Closed { in_flight: 1 },
            Self::Concurrent { concurrency } => Pace::Closed { in_flight: concurrency },
            Self::Constant { rate } => Pace::Open(Arrivals::constant(rate)),
            Self::Poisson { rate } => Pace::Open(Arrivals::poisson(rate, workload.seed)),
            Self::Ramp { from_rate, to_rate, seconds } => Pace::Open(Arrivals::ramp(from_rate, to_rate, seconds)),
            Self::Replay { speed } => {
                Pace::Open(Arrivals::listed(workload.trace().map(|trace| trace.times(speed)).unwrap_or_default()))
            }
        }
    }

    /// Whether requests are sent regardless of answers.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Synchronous | Self::Concurrent { .. })
    }

    /// Label for reports: `concurrent 8`, `poisson 2.5/s`.
    #[must_use]
    pub fn label(&self) -> String {
        match *self {
            Self::Synchronous => "synchronous".to_owned(),
            Self::Concurrent { concurrency } => format!("concurrent {concurrency}"),
            Self::Constant { rate } => format!("constant {rate}/s"),
            Self::Poisson { rate } => format!("poisson {rate}/s"),
            Self::Ramp { from_rate, to_rate, seconds } => format!("ramp {from_rate}/s to {to_rate}/s in {seconds} s"),
            Self::Replay { speed } => format!("replay at {speed} times the speed"),
        }
    }
}

fn check_rate(rate: f64) -> Result<(), ShapeError> {
    if rate.is_finite() && rate > 0.0 && rate <= RATE_MAX {
        return Ok(());
    }
    Err(ShapeError(format!("the rate is {rate} requests/s; it must be above 0 and at most {RATE_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_numbers_are_refused() {
        assert!(Shape::Concurrent { concurrency: 0 }.validate().is_err());
        assert!(Shape::Concurrent { concurrency: 1 }.validate().is_ok());
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            assert!(Shape::Constant { rate }.validate().is_err(), "{rate}");
            assert!(Shape::Poisson { rate }.validate().is_err(), "{rate}");
            assert!(Shape::Ramp { from_rate: 1.0, to_rate: rate, seconds: 1.0 }.validate().is_err(), "{rate}");
        }
        assert!(Shape::Ramp { from_rate: 1.0, to_rate: 2.0, seconds: 0.0 }.validate().is_err());
        assert!(Shape::Replay { speed: 0.0 }.validate().is_err());
        assert!(Shape::Replay { speed: 2.0 }.validate().is_ok());
    }
}
