//! Distributions of times.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Times are kept in microseconds, from 1 to this: an hour.
const MICROSECONDS_MAX: u64 = 3_600_000_000;

/// Every value is kept to three significant digits: 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The percentiles at which a distribution is drawn: closer together towards
/// the tail, where the interesting part is.
const CURVE_PERCENTILES: [f64; 22] = [
    0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0,
    95.0, 99.0, 100.0,
];

/// A distribution of times, in a fixed amount of memory.
#[derive(Clone, Debug)]
pub struct Distribution(Histogram<u64>);

/// What is told of a distribution; all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many values there were.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    #[serde(default)]
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self(
            Histogram::new_with_bounds(1, MICROSECONDS_MAX, SIGNIFICANT_DIGITS)
                .expect("the bounds are ones that the histogram allows"),
        )
    }
}

impl Distribution {
    /// Counts one value. Beyond an hour it counts as an hour.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// Its percentiles; `None` when it is empty.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.0.is_empty() {
            return None;
        }
        Some(Percentiles {
            count: self.0.len(),
            mean: self.0.mean() / 1e6,
            min: self.at(0.0),
            p50: self.at(50.0),
            p90: self.at(90.0),
            p95: self.at(95.0),
            p99: self.at(99.0),
            max: self.at(100.0),
        })
    }

    /// The smallest value that at least `percentile` percent do not exceed, in seconds.
    #[must_use]
    pub fn at(&self, percentile: f64) -> f64 {
        self.0.value_at_percentile(percentile) as f64 / 1e6
    }

    /// Points (percentile, seconds) for a plot; none when it is empty.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        CURVE_PERCENTILES.iter().map(|&percentile| (percentile, self.at(percentile))).collect()
    }
}

impl FromIterator<Duration> for Distribution {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut distribution = Self::default();
        times.into_iter().for_each(|time| distribution.record(time));
        distribution
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_has_no_percentiles() {
        assert_eq!(Distribution::default().percentiles(), None);
        assert!(Distribution::default().curve().is_empty());
    }

    proptest! {
        /// Against the nearest-rank percentile of the sorted values.
        #[test]
        fn percentiles_agree_with_the_exact_ones(mut values in prop::collection::vec(1u64..100_000_000, 1..300)) {
            let distribution: Distribution = values.iter().map(|&value| Duration::from_micros(value)).collect();
            values.sort_unstable();
            let told = distribution.percentiles().expect("there are values");
            for (percentile, told) in [(50, told.p50), (90, told.p90), (95, told.p95), (99, told.p99), (100, told.max)] {
                let rank = (values.len() * percentile).div_ceil(100).max(1);
                let exact = values[rank - 1] as f64 / 1e6;
                prop_assert!((told - exact).abs() <= exact * 0.001 + 1e-6, "p{percentile}: {told} for {exact}");
            }
            let mean = values.iter().sum::<u64>() as f64 / values.len() as f64 / 1e6;
            prop_assert!((told.mean - mean).abs() <= mean * 0.001 + 1e-6);
        }

        #[test]
        fn merging_is_counting_together(a in prop::collection::vec(1u64..1_000_000, 1..50),
                                        b in prop::collection::vec(1u64..1_000_000, 1..50)) {
            let of = |values: &[u64]| values.iter().map(|&v| Duration::from_micros(v)).collect::<Distribution>();
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged.percentiles(), of(&[a, b].concat()).percentiles());
        }
    }
}
