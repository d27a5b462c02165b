//! The sweep: increasing concurrency until throughput saturates.

use serde::{Deserialize, Serialize};

/// A step gains if its throughput is at least this multiple of the best before it.
const GAIN_MIN: f64 = 1.05;

/// By Little's law, twice as many requests in flight at the same throughput take twice as
/// long each. Half of that growth distinguishes saturation from noise.
const LATENCY_GROWTH_MIN: f64 = 1.5;

/// Plans a sweep: 1 in flight, then 2, 4, 8 … It ends at the bound, or at the first step
/// that is *over-saturated*: less than 5 % more throughput than the best before it, and at
/// least 1.5 times its latency.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    concurrency_max: u32,
    points: Vec<SweepPoint>,
}

/// The measurement of one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Requests in flight.
    pub concurrency: u32,
    /// Output tokens per second.
    pub tokens_per_second: f64,
    /// Median end-to-end latency, in seconds.
    pub e2e_seconds: f64,
}

impl Sweep {
    /// A sweep up to `concurrency_max` requests in flight (at least 1).
    #[must_use]
    pub fn new(concurrency_max: u32) -> Self {
        Self { concurrency_max: concurrency_max.max(1), points: Vec::new() }
    }

    /// Concurrency of the next step; `None` when the sweep is over.
    #[must_use]
    pub fn next_concurrency(&self) -> Option<u32> {
        let Some(last) = self.points.last() else { return Some(1) };
        if last.concurrency >= self.concurrency_max || self.is_over_saturated() {
            return None;
        }
        Some(last.concurrency.saturating_mul(2).min(self.concurrency_max))
    }

    /// Adds the measurement of a step.
    pub fn record(&mut self, point: SweepPoint) {
        self.points.push(point);
    }

    /// Whether the last step increased latency without a gain in throughput.
    #[must_use]
    pub fn is_over_saturated(&self) -> bool {
        let Some((last, before)) = self.points.split_last() else { return false };
        let Some(best) = before.iter().max_by(|a, b| a.tokens_per_second.total_cmp(&b.tokens_per_second)) else {
            return false;
        };
        last.tokens_per_second < best.tokens_per_second * GAIN_MIN
            && last.e2e_seconds >= best.e2e_seconds * LATENCY_GROWTH_MIN
    }

    /// The step at the knee: the one with the highest *power*, throughput over latency
    /// (L. Kleinrock, "Power and deterministic rules of thumb for
    /// probabilistic problems in computer communications", ICC 1979).
    #[must_use]
    pub fn knee(&self) -> Option<SweepPoint> {
        let power = |point: &SweepPoint| point.tokens_per_second / point.e2e_seconds;
        self.points.iter().copied().filter(|point| point.e2e_seconds > 0.0).max_by(|a, b| power(a).total_cmp(&power(b)))
    }

    /// All steps so far.
    #[must_use]
    pub fn points(&self) -> &[SweepPoint] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that needs 1 s per request of 100 tokens and serves `slots` at once.
    fn sweep_over(slots: u32, concurrency_max: u32) -> Sweep {
        let mut sweep = Sweep::new(concurrency_max);
        while let Some(concurrency) = sweep.next_concurrency() {
            let served = f64::from(concurrency.min(slots));
            sweep.record(SweepPoint {
                concurrency,
                tokens_per_second: served * 100.0,
                e2e_seconds: f64::from(concurrency) / served,
            });
        }
        sweep
    }

    #[test]
    fn the_sweep_stops_one_step_after_saturation_and_finds_the_knee() {
        let sweep = sweep_over(8, 1024);
        let steps: Vec<u32> = sweep.points().iter().map(|point| point.concurrency).collect();
        assert_eq!(steps, [1, 2, 4, 8, 16]);
        assert_eq!(sweep.knee().map(|point| point.concurrency), Some(8));
        assert!(sweep.is_over_saturated());
    }

    #[test]
    fn the_sweep_stops_at_its_bound() {
        let sweep = sweep_over(1000, 6);
        let steps: Vec<u32> = sweep.points().iter().map(|point| point.concurrency).collect();
        assert_eq!(steps, [1, 2, 4, 6]);
        assert!(!sweep.is_over_saturated());
    }
}
