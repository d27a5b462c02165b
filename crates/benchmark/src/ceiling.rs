//! Whether the generator itself was what was measured.
//!
//! Before a run, the same load goes to an echo: a target on this machine that
//! answers at once and computes nothing. What that gives is the *ceiling*, with
//! the echo's own cost in it, so the generator can do at least as much. A run
//! counts only if it stayed at or below half of the ceiling ([`SHARE_MAX`]), and
//! if an open loop sent all but 1 % of its requests within 10 ms of when they
//! were due ([`LATENESS_SECONDS_MAX`]).

mod echo;

pub use echo::{EchoServer, EchoTimings};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bench::{BenchError, Contestant, Plan, Server, measure};
use crate::result::{Metric, Series};
use crate::shape::{Pace, Shape};
use crate::target::http::{HttpSettings, HttpTarget};

/// Up to this share of its ceiling, a generator adds little: by the ratio of
/// service rates, less than half of the time of each token is its own.
const SHARE_MAX: f64 = 0.5;

/// Latest sending of an open loop's requests (99th percentile), in seconds. Its
/// timer has a resolution of 1 ms.
const LATENESS_SECONDS_MAX: f64 = 0.010;

/// The echo is asked for about so many tokens, which take a fraction of a second.
const ECHO_TOKENS: u64 = 20_000;

/// It is asked no longer than this, in seconds, however short the answers are.
const ECHO_SECONDS_MAX: f64 = 1.0;

/// An open loop's ceiling is measured with so many in flight.
const OPEN_LOOP_IN_FLIGHT: u32 = 32;

/// What the generator can do, and whether it was enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorCheck {
    /// Output tokens per second that it takes from an echo.
    pub ceiling_tokens_per_second: f64,
    /// Requests per second that it makes of an echo.
    pub ceiling_requests_per_second: f64,
    /// Why runs do not count; empty if they do.
    pub objections: Vec<String>,
}

/// What the generator takes from an echo over HTTP, asked as `settings` say
/// (their URL and model apart) under the load of `shape`.
///
/// # Errors
/// When the echo cannot be measured.
pub async fn http_ceiling(settings: &HttpSettings, shape: &Shape, plan: &Plan) -> Result<GeneratorCheck, BenchError> {
    let failed = |error: &dyn std::error::Error| BenchError::Echo(error.to_string());
    let server = EchoServer::start(EchoTimings::default()).map_err(|error| failed(&error))?;
    let settings = HttpSettings { base_url: server.url(), api_key: None, model: None, ..settings.clone() };
    let target = HttpTarget::connect(settings).await.map_err(|error| failed(&error))?;
    let server = Server::Processes(Vec::new());
    measure_ceiling(Contestant { name: "echo".to_owned(), target: Arc::new(target), shape: *shape, server }, plan).await
}

/// What the generator takes from `echo`.
///
/// # Errors
/// When the echo cannot be measured.
pub async fn measure_ceiling(echo: Contestant, plan: &Plan) -> Result<GeneratorCheck, BenchError> {
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
        ..plan.clone()
    };
    let echo = Contestant { shape: Shape::Concurrent { concurrency: in_flight }, ..echo };
    let series = measure(&[echo], &plan, &()).await?;
    let rate = |metric| series.first().and_then(|series| series.estimate(metric)).map_or(0.0, |rate| rate.median);
    Ok(GeneratorCheck {
        ceiling_tokens_per_second: rate(Metric::OutputTokensPerSecond),
        ceiling_requests_per_second: rate(Metric::RequestsPerSecond),
        objections: Vec::new(),
    })
}

impl GeneratorCheck {
    /// The stricter of two: what a benchmark is held to that uses both ways.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        if self.ceiling_tokens_per_second <= other.ceiling_tokens_per_second { self } else { other }
    }

    /// Whether `series` counts; if not, the objections say why.
    pub fn examine(&mut self, series: &[Series]) {
        for series in series {
            for run in &series.runs {
                self.objections.extend(self.too_fast(&series.name, run.output_tokens_per_second));
                let late = run.lateness.map_or(0.0, |lateness| lateness.p99);
                if late > LATENESS_SECONDS_MAX {
                    self.objections.push(format!(
                        "{}: 1 % of the requests were sent {:.1} ms or more after they were due",
                        series.name,
                        late * 1e3
                    ));
                }
            }
        }
    }

    fn too_fast(&self, name: &str, tokens_per_second: f64) -> Option<String> {
        let ceiling = self.ceiling_tokens_per_second;
        (tokens_per_second > ceiling * SHARE_MAX).then(|| {
            format!(
                "{name}: {tokens_per_second:.0} tokens/s are more than half of the {ceiling:.0} that this generator takes \
                 from an echo"
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
        assert_eq!(check.too_fast("a", 500.0), None);
        assert!(check.too_fast("a", 501.0).is_some_and(|objection| objection.contains("1000")));
    }
}
