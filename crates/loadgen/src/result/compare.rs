//! Comparison of two results.

use serde::Serialize;

use super::{BenchmarkResult, Better, Metric, Series};
use crate::measure::Estimate;

/// Comparison of a new result with an old one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Changes up to this fraction are ignored.
    pub threshold: f64,
    /// Whether both have the same plan and load shapes.
    pub same_work: bool,
    /// Series that only one of the results has.
    pub unmatched: Vec<String>,
    /// The change of every metric that both have.
    pub changes: Vec<Change>,
}

/// Change of one metric of one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The series.
    pub series: String,
    /// The metric.
    pub metric: Metric,
    /// The old value.
    pub old: Estimate,
    /// The new value.
    pub new: Estimate,
    /// (new − old) / old of the medians.
    pub change: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Verdict on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse by more than the threshold, and the intervals do not overlap.
    Regressed,
    /// Better by more than the threshold, and the intervals do not overlap.
    Improved,
    /// Within the threshold.
    Same,
    /// Above the threshold, but the intervals overlap: more repeats are needed.
    Unsure,
}

impl Comparison {
    /// Compares series of the same name; if each result has only one, those two.
    /// `threshold` is a fraction: 0.05 is 5 %.
    #[must_use]
    pub fn of(old: &BenchmarkResult, new: &BenchmarkResult, threshold: f64) -> Self {
        let pairs: Vec<(&Series, &Series)> = match (&old.series[..], &new.series[..]) {
            ([old], [new]) => vec![(old, new)],
            (olds, news) => {
                olds.iter().filter_map(|old| Some((old, news.iter().find(|new| new.name == old.name)?))).collect()
            }
        };
        let matched = |name: &String| pairs.iter().any(|(old, new)| old.name == *name || new.name == *name);
        let unmatched =
            old.series.iter().chain(&new.series).map(|series| &series.name).filter(|name| !matched(name)).cloned();
        Self {
            threshold,
            same_work: old.plan == new.plan && pairs.iter().all(|(old, new)| old.shape == new.shape),
            unmatched: unmatched.collect(),
            changes: pairs.iter().flat_map(|(old, new)| changes(old, new, threshold)).collect(),
        }
    }

    /// Whether a deciding metric has regressed.
    #[must_use]
    pub fn has_regressed(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Regressed && change.metric.decides())
    }
}

fn changes(old: &Series, new: &Series, threshold: f64) -> Vec<Change> {
    Metric::all()
        .filter_map(|metric| {
            let (before, after) = (old.estimate(metric)?, new.estimate(metric)?);
            let change = if before.median == after.median { 0.0 } else { after.median / before.median - 1.0 };
            Some(Change {
                series: new.name.clone(),
                metric,
                old: before.clone(),
                new: after.clone(),
                change,
                verdict: verdict(metric, change, before.overlaps(after), threshold),
            })
        })
        .collect()
}

fn verdict(metric: Metric, change: f64, overlap: bool, threshold: f64) -> Verdict {
    let gain = match metric.better() {
        Better::Higher => change,
        Better::Lower => -change,
    };
    match () {
        () if gain.abs() <= threshold => Verdict::Same,
        () if overlap => Verdict::Unsure,
        () if gain < 0.0 => Verdict::Regressed,
        () => Verdict::Improved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Latency, Percentile};

    const RATE: Metric = Metric::OutputTokensPerSecond;
    const TTFT: Metric = Metric::Time(Latency::Ttft, Percentile::P50);

    #[test]
    fn lower_throughput_and_higher_latency_are_regressions() {
        assert_eq!(verdict(RATE, -0.2, false, 0.05), Verdict::Regressed);
        assert_eq!(verdict(RATE, 0.2, false, 0.05), Verdict::Improved);
        assert_eq!(verdict(TTFT, 0.2, false, 0.05), Verdict::Regressed);
        assert_eq!(verdict(TTFT, -0.2, false, 0.05), Verdict::Improved);
    }

    #[test]
    fn noise_and_changes_below_the_threshold_are_no_regressions() {
        assert_eq!(verdict(RATE, -0.2, true, 0.05), Verdict::Unsure);
        assert_eq!(verdict(RATE, -0.05, false, 0.05), Verdict::Same);
    }
}
