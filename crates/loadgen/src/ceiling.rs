//! Checks that the load generator itself was not the bottleneck.
//!
//! Before a benchmark, the same load goes to an echo: a target on this machine that answers
//! immediately and computes nothing. Its throughput is the *ceiling*. It includes the cost
//! of the echo itself, so the generator can do at least as much. A run is valid only if it
//! stayed at or below half of the ceiling ([`SHARE_MAX`]), and if an open loop sent 99 % of
//! its requests within 10 ms of their due time ([`LATENESS_SECONDS_MAX`]).

mod echo;

pub use echo::{EchoServer, EchoTimings};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::result::{Metric, Series};
use crate::rounds::{MeasureError, measure};
use crate::shape::{Pace, Shape};
use crate::target::http::{HttpSettings, HttpTarget};
use crate::target::{NamedTarget, ServerProcesses};

/// Largest valid share of the ceiling: by the ratio of service rates, less than half of the
/// time per token is the generator's own.
const SHARE_MAX: f64 = 0.5;

/// Largest valid lateness of an open loop's requests (99th percentile), in seconds. Its
/// timer has a resolution of 1 ms.
const LATENESS_SECONDS_MAX: f64 = 0.010;

/// Number of tokens requested from the echo, which take a fraction of a second.
const ECHO_TOKENS: u64 = 20_000;

/// Longest measurement of the echo, in seconds, however short the answers are.
const ECHO_SECONDS_MAX: f64 = 1.0;

/// Requests in flight for measuring the ceiling of an open loop.
const OPEN_LOOP_IN_FLIGHT: u32 = 32;

/// The generator's ceiling, and whether the runs are valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorCheck {
    /// Output tokens per second that it receives from an echo.
    pub ceiling_tokens_per_second: f64,
    /// Requests per second that it sends to an echo.
    pub ceiling_requests_per_second: f64,
    /// Why runs are invalid; empty if all are valid.
    pub objections: Vec<String>,
}

/// The generator's ceiling over HTTP with `settings` (except URL, key and model) and the
/// load of `shape`.
///
/// # Errors
/// If the echo cannot be measured.
pub async fn http_ceiling(settings: &HttpSettings, shape: &Shape, plan: &Plan) -> Result<GeneratorCheck, MeasureError> {
    let failed = |error: &dyn std::error::Error| MeasureError::Echo(error.to_string());
    let server = EchoServer::start(EchoTimings::default()).map_err(|error| failed(&error))?;
    let settings = HttpSettings { base_url: server.url(), api_key: None, model: None, ..settings.clone() };
    let target = HttpTarget::connect(settings).await.map_err(|error| failed(&error))?;
    let server = ServerProcesses::Pids(Vec::new());
    measure_ceiling(
        NamedTarget { name: "echo".to_owned(), target: Arc::new(target), shape: *shape, server, energy: None },
        plan,
    )
    .await
}

/// The generator's ceiling with `echo` as the target.
///
/// # Errors
/// If the echo cannot be measured.
pub async fn measure_ceiling(echo: NamedTarget, plan: &Plan) -> Result<GeneratorCheck, MeasureError> {
    let in_flight = match echo.shape.pace(&plan.workload) {
        Pace::Closed { in_flight } => in_flight,
        Pace::Open(_) => OPEN_LOOP_IN_FLIGHT,
    };
    let plan = Plan {
        requests: (ECHO_TOKENS / u64::from(plan.workload.answer_tokens_max())).max(u64::from(in_flight)),
        seconds_max: Some(ECHO_SECONDS_MAX),
        head_seconds: 0.0,
        tail_seconds: 0.0,
        repeats: 1,
        until: None,
        ..plan.clone()
    };
    let echo = NamedTarget { shape: Shape::Concurrent { concurrency: in_flight }, ..echo };
    let series = measure(&[echo], &plan, &()).await?;
    let rate = |metric| series.first().and_then(|series| series.estimate(metric)).map_or(0.0, |rate| rate.median);
    Ok(GeneratorCheck {
        ceiling_tokens_per_second: rate(Metric::OutputTokensPerSecond),
        ceiling_requests_per_second: rate(Metric::RequestsPerSecond),
        objections: Vec::new(),
    })
}

impl GeneratorCheck {
    /// The lower of two ceilings, for a benchmark that sends requests in both ways.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if self.ceiling_tokens_per_second <= other.ceiling_tokens_per_second { self } else { other }
    }

    /// Adds an objection for every invalid run of `series`.
    pub fn check(&mut self, series: &[Series]) {
        for series in series {
            for run in &series.runs {
                self.objections.extend(self.exceeds_ceiling(&series.name, run.output_tokens_per_second));
                let late = run.lateness.map_or(0.0, |lateness| lateness.p99);
                if late > LATENESS_SECONDS_MAX {
                    self.objections.push(format!(
                        "{}: 1 % of the requests were sent {:.1} ms or more after their due time",
                        series.name,
                        late * 1e3
                    ));
                }
            }
        }
    }

    fn exceeds_ceiling(&self, name: &str, tokens_per_second: f64) -> Option<String> {
        let ceiling = self.ceiling_tokens_per_second;
        (tokens_per_second > ceiling * SHARE_MAX).then(|| {
            format!(
                "{name}: {tokens_per_second:.0} tokens/s are more than half of the {ceiling:.0} tokens/s that this \
                 generator receives from an echo"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_ceiling_is_the_limit() {
        let check = GeneratorCheck {
            ceiling_tokens_per_second: 1000.0,
            ceiling_requests_per_second: 20.0,
            objections: Vec::new(),
        };
        assert_eq!(check.exceeds_ceiling("a", 500.0), None);
        assert!(check.exceeds_ceiling("a", 501.0).is_some_and(|objection| objection.contains("1000")));
    }
}
