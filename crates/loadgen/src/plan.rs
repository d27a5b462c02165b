//! The plan of a benchmark: everything except its targets.

use serde::{Deserialize, Serialize};

use crate::measure::Slo;
use crate::shape::{Pace, Shape};
use crate::workload::{Prompts, Workload};

/// Most requests of a run. Each is stored with all its token times until the run is
/// summarised: a million requests of 100 tokens take 2 GB.
const REQUESTS_MAX: u64 = 1_000_000;

/// Most turns of a conversation: each contains all earlier ones.
const TURNS_MAX: u64 = 100;

/// Most repeats; with more, the interval of the median hardly narrows.
pub(crate) const REPEATS_MAX: u32 = 1000;

/// Everything about a benchmark except its targets. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The requests.
    pub workload: Workload,
    /// Number of requests per run.
    pub requests: u64,
    /// No request is sent after this time.
    pub seconds_max: Option<f64>,
    /// A request that takes longer fails.
    pub request_seconds_max: f64,
    /// Unmeasured requests before each run; `None`: as many as are in flight, or one for an
    /// open loop.
    pub warm_up_requests: Option<u64>,
    /// Time excluded at the start of each run.
    pub head_seconds: f64,
    /// Time excluded at the end of each run.
    pub tail_seconds: f64,
    /// Runs of each target; with `until`, the least.
    pub repeats: u32,
    /// When there are enough rounds; `None`: after `repeats`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Objectives for goodput.
    pub slo: Slo,
}

/// Measures until the intervals are narrow enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Until {
    /// Largest half width of an interval, as a fraction of its median: of the ratios between
    /// targets or, with one target, of its output tokens per second.
    pub precision: f64,
    /// No round begins after this time.
    pub seconds_max: f64,
}

/// An invalid plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

impl Plan {
    /// Validates every number.
    ///
    /// # Errors
    /// Names the invalid number and the allowed range.
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
            return Err(PlanError(format!("there may be at most {REQUESTS_MAX} warm-up requests")));
        }
        if !(0.0..=2.0).contains(&self.workload.temperature) {
            return Err(PlanError(format!("the temperature is {}; it must be 0 to 2", self.workload.temperature)));
        }
        if let Some(leaving) = self.workload.leaving
            && !(0.0..=1.0).contains(&leaving.share)
        {
            return Err(PlanError(format!(
                "the share of clients that disconnect is {}; it must be 0 to 1",
                leaving.share
            )));
        }
        if let Prompts::Conversation { turns, .. } = self.workload.prompts {
            within("the number of turns", turns.into(), TURNS_MAX)?;
        }
        // A day: long enough for every benchmark, and always a valid `Duration`.
        let seconds = |name: &str, value: f64, least: f64| {
            if (least..=86_400.0).contains(&value) {
                return Ok(());
            }
            Err(PlanError(format!("{name} is {value} s; it must be {least} to 86400")))
        };
        seconds("the time of the run", self.seconds_max.unwrap_or(1.0), 0.001)?;
        if let Some(until) = self.until {
            if !(0.0001..=1.0).contains(&until.precision) {
                let percent = until.precision * 100.0;
                return Err(PlanError(format!("the wanted precision is {percent} %; it must be 0.01 to 100 %")));
            }
            seconds("the time for the wanted precision", until.seconds_max, 0.001)?;
        }
        seconds("the time limit of a request", self.request_seconds_max, 0.001)?;
        seconds("the time skipped at the start", self.head_seconds, 0.0)?;
        seconds("the time skipped at the end", self.tail_seconds, 0.0)?;
        for objective in [self.slo.ttft_seconds, self.slo.tpot_seconds, self.slo.e2e_seconds].into_iter().flatten() {
            seconds("an objective", objective, 0.0)?;
        }
        Ok(())
    }

    /// The warm-up of a run of `shape`: a closed loop of the same concurrency.
    pub(crate) fn warm_up(&self, shape: &Shape) -> (Shape, u64) {
        let in_flight = match shape.pace(&self.workload) {
            Pace::Closed { in_flight } => in_flight,
            Pace::Open(_) => 1,
        };
        (Shape::Concurrent { concurrency: in_flight }, self.warm_up_requests.unwrap_or(u64::from(in_flight)))
    }
}
