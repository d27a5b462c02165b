//! What benchmarks came to, for dashboards. A scheduler has as many series as there are
//! layers, so that no number of benchmarks makes the metrics grow.

use hostler_telemetry::catalogue;

use super::order::{Layer, Profile};
use super::record::BenchmarkRecord;
use crate::result::{Latency, Metric, Percentile};

/// The percentiles that are shown, as the `quantile` label spells them.
const QUANTILES: [(Percentile, &str); 2] = [(Percentile::P50, "0.5"), (Percentile::P95, "0.95")];

/// A benchmark has ended. Of a sweep, which has no one speed, only the end counts.
pub(super) fn ended(record: &BenchmarkRecord) {
    let profile = record.order.profile;
    let name = match profile {
        Profile::Run => "run",
        Profile::Sweep => "sweep",
        Profile::Ladder => "ladder",
    };
    catalogue::BENCHMARKS.counter(&[name, record.status.as_str()]).increment(1);
    let (Some(claim), Some(result)) = (&record.claim, &record.result) else { return };
    if profile == Profile::Sweep {
        return;
    }
    let scheduler = claim.scheduler.as_str();
    for series in &result.series {
        // A label's values come from the list of layers, whatever a series is called.
        let Some(rung) = Layer::ALL.into_iter().map(Layer::as_str).find(|layer| *layer == series.name) else {
            continue;
        };
        let median = |metric| series.estimates.get(&metric).map(|estimate| estimate.median);
        if let Some(speed) = median(Metric::OutputTokensPerSecond) {
            catalogue::BENCHMARK_TOKENS.gauge(&[scheduler, rung]).set(speed);
        }
        for (percentile, quantile) in QUANTILES {
            if let Some(seconds) = median(Metric::Time(Latency::Ttft, percentile)) {
                catalogue::BENCHMARK_FIRST_TOKEN.gauge(&[scheduler, rung, quantile]).set(seconds);
            }
        }
    }
}
