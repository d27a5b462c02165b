//! What a benchmark does, apart from whom it asks.

use serde::{Deserialize, Serialize};

use crate::measure::Slo;
use crate::shape::{Pace, Shape};
use crate::workload::{Prompts, Workload};

/// Most requests of a run. Each is kept with all its times until it is summed
/// up: a million of 100 tokens take 2 GB.
const REQUESTS_MAX: u64 = 1_000_000;

/// Most turns of a conversation: each carries all before it.
const TURNS_MAX: u64 = 100;

/// Most repeats; beyond, the interval of the median hardly narrows.
const REPEATS_MAX: u32 = 1000;

/// What a benchmark does, apart from whom it asks. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is asked.
    pub workload: Workload,
    /// Requests of a run.
    pub requests: u64,
    /// No request is sent after this time.
    pub seconds_max: Option<f64>,
    /// A request that takes longer has failed.
    pub request_seconds_max: f64,
    /// Requests before each run that count for nothing; `None`: as many as are
    /// in flight, or one for an open loop.
    pub warm_up_requests: Option<u64>,
    /// So much at the beginning of the run is left out.
    pub head_seconds: f64,
    /// So much at its end is left out.
    pub tail_seconds: f64,
    /// Runs of each contestant.
    pub repeats: u32,
    /// What a good answer is.
    pub slo: Slo,
}

/// A plan that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

impl Plan {
    /// Checks every number.
    ///
    /// # Errors
    /// Says which number is wrong and what is allowed.
    pub fn validate(&self) -> Result<(), PlanError> {
        let within = |name: &str, value: u64, most: u64| {
            if (1..=most).contains(&value) {
                return Ok(());
            }
            Err(PlanError(format!("{name} is {value}; it must be 1 to {most}")))
        };
        within("the number of requests", self.requests, REQUESTS_MAX)?;
        within("the number of repeats", self.repeats.into(), REPEATS_MAX.into())?;
        if self.warm_up_requests.is_some_and(|requests| requests > REQUESTS_MAX) {
            return Err(PlanError(format!("there may be at most {REQUESTS_MAX} requests for warming up")));
        }
        if !(0.0..=2.0).contains(&self.workload.temperature) {
            return Err(PlanError(format!("the temperature is {}; it must be 0 to 2", self.workload.temperature)));
        }
        if let Some(leaving) = self.workload.leaving
            && !(0.0..=1.0).contains(&leaving.share)
        {
            return Err(PlanError(format!("the share of clients that leave is {}; it must be 0 to 1", leaving.share)));
        }
        if let Prompts::Conversation { turns, .. } = self.workload.prompts {
            within("the number of turns", turns.into(), TURNS_MAX)?;
        }
        // A day: enough for anything, and safe to make a duration of.
        let seconds = |name: &str, value: f64, least: f64| {
            if (least..=86_400.0).contains(&value) {
                return Ok(());
            }
            Err(PlanError(format!("{name} is {value} s; it must be {least} to 86400")))
        };
        seconds("the time of the run", self.seconds_max.unwrap_or(1.0), 0.001)?;
        seconds("the longest time of a request", self.request_seconds_max, 0.001)?;
        seconds("the time left out at the beginning", self.head_seconds, 0.0)?;
        seconds("the time left out at the end", self.tail_seconds, 0.0)?;
        for objective in [self.slo.ttft_seconds, self.slo.tpot_seconds, self.slo.e2e_seconds].into_iter().flatten() {
            seconds("an objective", objective, 0.0)?;
        }
        Ok(())
    }

    /// What goes before a run of `shape`: as many at once, but in a closed loop.
    pub(super) fn warm_up(&self, shape: &Shape) -> (Shape, u64) {
        let in_flight = match shape.pace(&self.workload) {
            Pace::Closed { in_flight } => in_flight,
            Pace::Open(_) => 1,
        };
        (Shape::Concurrent { concurrency: in_flight }, self.warm_up_requests.unwrap_or(u64::from(in_flight)))
    }
}
