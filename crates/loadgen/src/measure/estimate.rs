//! The estimate from repeated runs: a median with a confidence interval.

use serde::{Deserialize, Serialize};

/// Confidence of the interval, if there are enough repeats.
const CONFIDENCE: f64 = 0.95;

/// The median of repeated measurements, with a confidence interval.
///
/// The interval lies between order statistics and assumes nothing about the
/// distribution: the median lies between the k-th smallest and the k-th largest of n
/// values unless fewer than k of them fell on one side of it, which has the
/// probability 2·P(B < k) for B binomial (n, ½) (J.-Y. Le Boudec,
/// "Performance Evaluation of Computer and Communication Systems", theorem 2.1;
/// W. J. Conover, "Practical Nonparametric Statistics", section 3.2). The largest k
/// with at least 95 % is used. Fewer than six values cannot reach 95 %: the interval is
/// then their whole range, with the `confidence` of that (five: 93.75 %; one: 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median; the mean of the middle two values if their number is even.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// The probability that such an interval contains the true median, 0 to 1.
    pub confidence: f64,
    /// All values, in the order of the repeats.
    pub values: Vec<f64>,
}

impl Estimate {
    /// The estimate from `values`; `None` if there are none or one is NaN.
    #[must_use]
    pub fn of(values: Vec<f64>) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        let (nth, confidence) = interval(count);
        Some(Self { median, low: sorted[nth - 1], high: sorted[count - nth], confidence, values })
    }

    /// Half of the interval's width, as a fraction of the median.
    #[must_use]
    pub fn precision(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median.abs()
    }
}

/// The largest k, from 1, whose interval reaches [`CONFIDENCE`], and its confidence.
fn interval(count: usize) -> (usize, f64) {
    let n = count as f64;
    // Start with P(B = 0) and derive each probability from the previous one. Halving n
    // times underflows only beyond a thousand repeats, and then the interval is too wide.
    let mut probability = 0.5f64.powf(n);
    let mut below = probability;
    let (mut nth, mut confidence) = (1, (1.0 - 2.0 * below).max(0.0));
    for successes in 1..count.div_ceil(2) {
        probability *= (n - successes as f64 + 1.0) / successes as f64;
        below += probability;
        if 1.0 - 2.0 * below < CONFIDENCE {
            break;
        }
        (nth, confidence) = (successes + 1, 1.0 - 2.0 * below);
    }
    (nth, confidence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn intervals_match_the_published_table() {
        // Le Boudec, table A.1: n, rank of the lower end, confidence.
        for (count, rank, confidence) in [
            (1, 1, 0.0),
            (5, 1, 0.9375),
            (6, 1, 0.96875),
            (8, 1, 0.9922),
            (9, 2, 0.9609),
            (10, 2, 0.9785),
            (20, 6, 0.9586),
            (30, 10, 0.9572),
        ] {
            let (nth, computed) = interval(count);
            assert_eq!(nth, rank, "{count}");
            assert!((computed - confidence).abs() < 1e-4, "{count}: {computed}");
        }
    }

    #[test]
    fn the_median_is_the_middle_value() {
        let median = |values: &[f64]| Estimate::of(values.to_vec()).map(|estimate| estimate.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn the_interval_contains_the_median(values in prop::collection::vec(-1e6f64..1e6, 1..60)) {
            let estimate = Estimate::of(values.clone()).expect("there are values");
            prop_assert!(estimate.low <= estimate.median && estimate.median <= estimate.high);
            prop_assert!(estimate.confidence >= CONFIDENCE || values.len() < 6);
        }
    }
}
