//! What came of one contestant, over all rounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metric;
use crate::bench::Contestant;
use crate::measure::{Distributions, Estimate, Latencies, RunSummary};
use crate::shape::Shape;
use crate::target::TargetDescription;

/// What came of one contestant, over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// What was asked.
    pub target: TargetDescription,
    /// In what load.
    pub shape: Shape,
    /// The median of each quantity over the rounds, and how sure it is.
    pub estimates: BTreeMap<Metric, Estimate>,
    /// How long things took, all rounds taken together.
    pub latencies: Latencies,
    /// The same, for plots.
    pub curves: Curves,
    /// Every round.
    pub runs: Vec<RunSummary>,
}

/// Distributions as points (percentile, seconds).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Sending to first token.
    pub ttft: Vec<(f64, f64)>,
    /// Gaps between tokens.
    pub itl: Vec<(f64, f64)>,
    /// Sending to end.
    pub e2e: Vec<(f64, f64)>,
}

impl Series {
    /// What came of `contestant`.
    #[must_use]
    pub fn of(contestant: &Contestant, runs: Vec<(RunSummary, Distributions)>) -> Self {
        let mut pooled = Distributions::default();
        runs.iter().for_each(|(_, distributions)| pooled.merge(distributions));
        let runs: Vec<RunSummary> = runs.into_iter().map(|(summary, _)| summary).collect();
        Self {
            name: contestant.name.clone(),
            target: contestant.target.describe(),
            shape: contestant.shape,
            estimates: estimates(&runs),
            latencies: pooled.latencies(),
            curves: Curves { ttft: pooled.ttft.curve(), itl: pooled.itl.curve(), e2e: pooled.e2e.curve() },
            runs,
        }
    }

    /// The estimate of `metric`, where every round had it.
    #[must_use]
    pub fn estimate(&self, metric: Metric) -> Option<&Estimate> {
        self.estimates.get(&metric)
    }

    /// Requests that failed, over all rounds.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.runs.iter().map(|run| run.failed).sum()
    }

    /// Answers that were shorter than asked, over all rounds.
    #[must_use]
    pub fn short_answers(&self) -> u64 {
        self.runs.iter().map(|run| run.short_answers).sum()
    }
}

/// The estimate of every metric that all of `runs` have.
fn estimates(runs: &[RunSummary]) -> BTreeMap<Metric, Estimate> {
    Metric::all()
        .filter_map(|metric| {
            let values: Option<Vec<f64>> = runs.iter().map(|run| metric.value(run)).collect();
            Some((metric, Estimate::of(values?)?))
        })
        .collect()
}
