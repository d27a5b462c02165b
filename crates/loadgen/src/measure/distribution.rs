//! Distributions of durations.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Durations are stored in microseconds, from 1 to this: one hour.
const MICROSECONDS_MAX: u64 = 3_600_000_000;

/// Values are stored with three significant digits: 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The percentiles at which a distribution is plotted, denser towards the tail.
const CURVE_PERCENTILES: [f64; 22] = [
    0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0,
    95.0, 99.0, 100.0,
];

/// A distribution of durations, in a fixed amount of memory.
#[derive(Clone, Debug)]
pub struct Distribution(Histogram<u64>);

/// Summary of a distribution, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// The minimum.
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
    /// The maximum.
    pub max: f64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self(
            Histogram::new_with_bounds(1, MICROSECONDS_MAX, SIGNIFICANT_DIGITS)
                .expect("the bounds are valid for the histogram"),
        )
    }
}

impl Distribution {
    /// Adds a value. Values above one hour count as one hour.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// The percentiles; `None` if it is empty.
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

    /// Points (percentile, seconds) for a plot; empty if there are no values.
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
    fn an_empty_distribution_has_no_percentiles() {
        assert_eq!(Distribution::default().percentiles(), None);
        assert!(Distribution::default().curve().is_empty());
    }

    impl Percentiles {
        fn ranks(&self) -> [(usize, f64); 5] {
            [(50, self.p50), (90, self.p90), (95, self.p95), (99, self.p99), (100, self.max)]
        }
    }

    proptest! {
        /// Against the nearest-rank percentile of the sorted values.
        #[test]
        fn percentiles_agree_with_the_exact_ones(mut values in prop::collection::vec(1u64..100_000_000, 1..300)) {
            let distribution: Distribution = values.iter().map(|&value| Duration::from_micros(value)).collect();
            values.sort_unstable();
            let percentiles = distribution.percentiles().expect("there are values");
            for (percentile, value) in percentiles.ranks() {
                let rank = (values.len() * percentile).div_ceil(100).max(1);
                let exact = values[rank - 1] as f64 / 1e6;
                prop_assert!((value - exact).abs() <= exact * 0.001 + 1e-6, "p{percentile}: {value} for {exact}");
            }
            let mean = values.iter().sum::<u64>() as f64 / values.len() as f64 / 1e6;
            prop_assert!((percentiles.mean - mean).abs() <= mean * 0.001 + 1e-6);
        }

        #[test]
        fn merging_equals_recording_all_values(a in prop::collection::vec(1u64..1_000_000, 1..50),
                                        b in prop::collection::vec(1u64..1_000_000, 1..50)) {
            let of = |values: &[u64]| values.iter().map(|&v| Duration::from_micros(v)).collect::<Distribution>();
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged.percentiles(), of(&[a, b].concat()).percentiles());
        }
    }
}
