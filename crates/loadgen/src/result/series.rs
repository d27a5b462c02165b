//! The results of one target over all rounds, and ratios between targets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::measure::{Distributions, Estimate, Latencies, RunSummary};
use crate::shape::Shape;
use crate::target::{NamedTarget, TargetDescription};

/// The results of one target over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The name of the target.
    pub name: String,
    /// The target.
    pub target: TargetDescription,
    /// When requests were sent.
    pub shape: Shape,
    /// Median and confidence interval of each metric over the rounds.
    pub estimates: BTreeMap<Metric, Estimate>,
    /// Latencies of all rounds together.
    pub latencies: Latencies,
    /// Latency distributions for plots.
    pub curves: Curves,
    /// The rounds.
    pub runs: Vec<RunSummary>,
}

/// Distributions as points (percentile, seconds).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Time to first token.
    pub ttft: Vec<(f64, f64)>,
    /// Inter-token latency.
    pub itl: Vec<(f64, f64)>,
    /// End-to-end latency.
    pub e2e: Vec<(f64, f64)>,
}

impl Series {
    /// The results of `target`.
    #[must_use]
    pub fn of(target: &NamedTarget, runs: Vec<(RunSummary, Distributions)>) -> Self {
        let mut pooled = Distributions::default();
        runs.iter().for_each(|(_, distributions)| pooled.merge(distributions));
        let runs: Vec<RunSummary> = runs.into_iter().map(|(summary, _)| summary).collect();
        Self {
            name: target.name.clone(),
            target: target.target.describe(),
            shape: target.shape,
            estimates: estimates(&runs),
            latencies: pooled.latencies(),
            curves: Curves { ttft: pooled.ttft.curve(), itl: pooled.itl.curve(), e2e: pooled.e2e.curve() },
            runs,
        }
    }

    /// The estimate of `metric`, if every round has it.
    #[must_use]
    pub fn estimate(&self, metric: Metric) -> Option<&Estimate> {
        self.estimates.get(&metric)
    }

    /// Failed requests of all rounds.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.runs.iter().map(|run| run.failed).sum()
    }

    /// Answers of all rounds that were shorter than requested.
    #[must_use]
    pub fn short_answers(&self) -> u64 {
        self.runs.iter().map(|run| run.short_answers).sum()
    }
}

/// The estimates of the metrics that all `runs` have.
fn estimates(runs: &[RunSummary]) -> BTreeMap<Metric, Estimate> {
    Metric::all()
        .filter_map(|metric| {
            let values: Option<Vec<f64>> = runs.iter().map(|run| metric.value(run)).collect();
            Some((metric, Estimate::of(values?)?))
        })
        .collect()
}

/// Throughput of one target relative to another. Ratios are taken within each round, in
/// which both met the same conditions; the estimate is over the rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Name of the series in the numerator.
    pub of: String,
    /// Name of the series in the denominator.
    pub to: String,
    /// Ratio of output tokens per second.
    pub ratio: Estimate,
}

impl Ratio {
    /// The ratio of two series; `None` if a round of the second has no throughput.
    #[must_use]
    pub fn between(of: &Series, to: &Series) -> Option<Self> {
        let rate = |run| Metric::OutputTokensPerSecond.value(run);
        let ratios: Option<Vec<f64>> = of
            .runs
            .iter()
            .zip(&to.runs)
            .map(|(of, to)| Some(rate(of)? / rate(to).filter(|&rate| rate > 0.0)?))
            .collect();
        Some(Self { of: of.name.clone(), to: to.name.clone(), ratio: Estimate::of(ratios?)? })
    }
}
