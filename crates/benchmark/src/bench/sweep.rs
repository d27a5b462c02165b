//! A sweep: one contestant under more and more load.

use super::{BenchError, Contestant, Observer, Plan, measure};
use crate::result::{Latency, Metric, Percentile, Series};
use crate::shape::{Shape, Sweep, SweepPoint};

/// Measures step after step, until `steps` says that more brings nothing.
///
/// # Errors
/// When a step brought nothing that could be reported.
pub async fn sweep(
    contestant: &Contestant,
    plan: &Plan,
    steps: &mut Sweep,
    observer: &dyn Observer,
) -> Result<Vec<Series>, BenchError> {
    let mut all = Vec::new();
    while let Some(concurrency) = steps.next_concurrency() {
        let step = Contestant {
            name: format!("{concurrency} in flight"),
            shape: Shape::Concurrent { concurrency },
            ..contestant.clone()
        };
        // At least two turns for each in flight: with fewer, a step would be all
        // beginning and end.
        let plan = Plan { requests: plan.requests.max(u64::from(concurrency) * 2), ..plan.clone() };
        for series in measure(&[step], &plan, observer).await? {
            let median = |metric| series.estimate(metric).map_or(0.0, |estimate| estimate.median);
            steps.record(SweepPoint {
                concurrency,
                tokens_per_second: median(Metric::OutputTokensPerSecond),
                e2e_seconds: median(Metric::Time(Latency::E2e, Percentile::P50)),
            });
            all.push(series);
        }
    }
    Ok(all)
}
