//! Comparison of two results.

use serde::Serialize;

use super::{BenchmarkResult, Better, Metric, Series};
use crate::measure::{Estimate, holm, larger, smallest};
use crate::plan::REPEATS_MAX;

/// Largest probability that a comparison of two equal servers finds a difference in any of
/// their deciding metrics.
pub const SIGNIFICANCE: f64 = 0.01;

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
    /// The number of rounds in both results that a difference needs, if they have fewer: no
    /// difference, however large, can be told from noise then.
    pub rounds_needed: Option<u32>,
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
    /// The probability that rounds of equal servers differ by this much beyond the threshold
    /// in any metric that decides (or in any that does not): the two-sided Mann-Whitney test of
    /// the rounds, with Holm's correction.
    pub probability: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Verdict on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse by more than the threshold, beyond [`SIGNIFICANCE`].
    Regressed,
    /// Better by more than the threshold, beyond [`SIGNIFICANCE`].
    Improved,
    /// Within the threshold.
    Same,
    /// Above the threshold, but it may be noise: more rounds are needed.
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
        let changes = changes(&pairs, threshold);
        Self {
            threshold,
            rounds_needed: rounds_needed(&changes),
            same_work: old.plan == new.plan && pairs.iter().all(|(old, new)| old.shape == new.shape),
            unmatched: unmatched.collect(),
            changes,
        }
    }

    /// Whether a deciding metric has regressed.
    #[must_use]
    pub fn has_regressed(&self) -> bool {
        self.changes.iter().any(|change| change.verdict == Verdict::Regressed && change.metric.decides())
    }
}

fn changes(pairs: &[(&Series, &Series)], threshold: f64) -> Vec<Change> {
    let mut changes: Vec<Change> = pairs
        .iter()
        .flat_map(|(old, new)| Metric::all().filter_map(|metric| Change::of(metric, old, new, threshold)))
        .collect();
    // The metrics that are only shown must not make those that decide less certain.
    for decides in [true, false] {
        let mut family: Vec<&mut Change> =
            changes.iter_mut().filter(|change| change.metric.decides() == decides).collect();
        let probabilities: Vec<f64> = family.iter().map(|change| change.probability).collect();
        for (change, probability) in family.iter_mut().zip(holm(&probabilities)) {
            change.probability = probability;
            change.verdict = change.verdict(threshold);
        }
    }
    changes
}

/// The rounds that the first step of Holm's correction needs, if a deciding metric has fewer.
fn rounds_needed(changes: &[Change]) -> Option<u32> {
    let deciding: Vec<&Change> = changes.iter().filter(|change| change.metric.decides()).collect();
    let suffice = |old: usize, new: usize| 2.0 * smallest(old, new) * deciding.len() as f64 <= SIGNIFICANCE;
    if deciding.iter().all(|change| suffice(change.old.values.len(), change.new.values.len())) {
        return None;
    }
    (1..=REPEATS_MAX).find(|&rounds| suffice(rounds as usize, rounds as usize))
}

impl Change {
    /// The change, with the probability of this one test. The verdict is not yet known.
    fn of(metric: Metric, old: &Series, new: &Series, threshold: f64) -> Option<Self> {
        let (old, new, series) = (old.estimate(metric)?, new.estimate(metric)?, new.name.clone());
        let scaled = |factor: f64| old.values.iter().map(|value| value * factor).collect::<Vec<f64>>();
        let (higher, lower) = (scaled(1.0 + threshold), scaled(1.0 - threshold));
        let probability = 2.0 * larger(&new.values, &higher).min(larger(&lower, &new.values));
        Some(Self {
            series,
            metric,
            change: if old.median == new.median { 0.0 } else { new.median / old.median - 1.0 },
            old: old.clone(),
            new: new.clone(),
            probability: probability.min(1.0),
            verdict: Verdict::Unsure,
        })
    }

    fn verdict(&self, threshold: f64) -> Verdict {
        let gain = match self.metric.better() {
            Better::Higher => self.change,
            Better::Lower => -self.change,
        };
        match () {
            () if gain.abs() <= threshold => Verdict::Same,
            () if self.probability > SIGNIFICANCE => Verdict::Unsure,
            () if gain < 0.0 => Verdict::Regressed,
            () => Verdict::Improved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Latency, Percentile};

    const RATE: Metric = Metric::OutputTokensPerSecond;
    const TTFT: Metric = Metric::Time(Latency::Ttft, Percentile::P50);

    fn verdict(metric: Metric, change: f64, probability: f64) -> Verdict {
        let value = Estimate::of(vec![1.0]).expect("a value");
        let series = String::new();
        let verdict = Verdict::Unsure;
        Change { series, metric, old: value.clone(), new: value, change, probability, verdict }.verdict(0.05)
    }

    #[test]
    fn lower_throughput_and_higher_latency_are_regressions() {
        assert_eq!(verdict(RATE, -0.2, 0.001), Verdict::Regressed);
        assert_eq!(verdict(RATE, 0.2, 0.001), Verdict::Improved);
        assert_eq!(verdict(TTFT, 0.2, 0.001), Verdict::Regressed);
        assert_eq!(verdict(TTFT, -0.2, 0.001), Verdict::Improved);
    }

    #[test]
    fn noise_and_changes_below_the_threshold_are_no_regressions() {
        assert_eq!(verdict(RATE, -0.2, 0.02), Verdict::Unsure);
        assert_eq!(verdict(RATE, -0.05, 0.001), Verdict::Same);
    }
}
