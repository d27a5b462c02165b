//! Metrics of ended benchmarks. A scheduler has one series per layer, so the number of
//! series does not grow with the number of benchmarks.

use hostler_loadgen::result::{Latency, Metric, Percentile};
use hostler_telemetry::catalogue;
use strum::IntoEnumIterator;

use super::layer::Layer;
use super::order::Profile;
use super::record::BenchmarkRecord;

/// The reported percentiles and their `quantile` labels.
const QUANTILES: [(Percentile, &str); 2] = [(Percentile::P50, "0.5"), (Percentile::P95, "0.95")];

/// Records that a benchmark has ended. A sweep has no single throughput, so only its end is
/// counted.
pub(super) fn ended(record: &BenchmarkRecord) {
    let profile = record.order.profile;
    catalogue::BENCHMARKS.counter(&[profile.into(), record.status.as_str()]).increment(1);
    let (Some(claim), Some(result)) = (&record.claim, &record.result) else { return };
    if profile == Profile::Sweep {
        return;
    }
    let scheduler = claim.scheduler.as_str();
    for series in &result.series {
        // Label values come from the list of layers, whatever the name of the series.
        let Some(rung) = Layer::iter().map(Layer::as_str).find(|layer| *layer == series.name) else {
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
