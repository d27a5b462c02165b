//! Arrival times of an open loop.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random stream of arrivals, which no request of a workload uses.
const ARRIVAL_STREAM: u64 = u64::MAX;

/// Non-decreasing times since the start of the run; endless, except for a list of times.
#[derive(Clone, Debug)]
pub struct Arrivals {
    process: Process,
    sent: u64,
}

/// The arrival process.
#[derive(Clone, Debug)]
enum Process {
    Constant { rate: f64 },
    Poisson { rate: f64, last_seconds: f64, random: Box<ChaCha8Rng> },
    Ramp { from_rate: f64, to_rate: f64, seconds: f64 },
    Listed(std::vec::IntoIter<Duration>),
}

impl Arrivals {
    /// Every `1 / rate` seconds, starting at 0.
    #[must_use]
    pub fn constant(rate: f64) -> Self {
        Self { process: Process::Constant { rate }, sent: 0 }
    }

    /// A Poisson process with this rate per second.
    #[must_use]
    pub fn poisson(rate: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(ARRIVAL_STREAM);
        Self { process: Process::Poisson { rate, last_seconds: 0.0, random: Box::new(random) }, sent: 0 }
    }

    /// The rate changes linearly between two values and then stays constant.
    #[must_use]
    pub fn ramp(from_rate: f64, to_rate: f64, seconds: f64) -> Self {
        Self { process: Process::Ramp { from_rate, to_rate, seconds }, sent: 0 }
    }

    /// At these times, which must not decrease.
    #[must_use]
    pub fn listed(times: Vec<Duration>) -> Self {
        Self { process: Process::Listed(times.into_iter()), sent: 0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let nth = self.sent as f64;
        self.sent += 1;
        let seconds = match &mut self.process {
            Process::Constant { rate } => nth / *rate,
            Process::Poisson { rate, last_seconds, random } => {
                // Inverse of the exponential distribution function; 1 − u is never 0.
                *last_seconds -= (1.0 - random.random::<f64>()).ln() / *rate;
                *last_seconds
            }
            Process::Ramp { from_rate, to_rate, seconds } => ramp_time(nth, *from_rate, *to_rate, *seconds),
            Process::Listed(times) => return times.next(),
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The time at which the number of arrivals, `from·t + (to − from)·t²/2T`, reaches `nth`.
fn ramp_time(nth: f64, from: f64, to: f64, seconds: f64) -> f64 {
    let during_ramp = (from + to) / 2.0 * seconds;
    if nth >= during_ramp {
        return seconds + (nth - during_ramp) / to;
    }
    let slope = (to - from) / seconds;
    // The form of the quadratic formula that stays exact for a slope of 0.
    2.0 * nth / (from + (from * from + 2.0 * slope * nth).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(arrivals: Arrivals, count: usize) -> Vec<f64> {
        arrivals.take(count).map(|time| time.as_secs_f64()).collect()
    }

    #[test]
    fn constant_intervals_are_even() {
        assert_eq!(seconds(Arrivals::constant(4.0), 4), [0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn a_flat_ramp_is_constant() {
        let ramp = seconds(Arrivals::ramp(4.0, 4.0, 1.0), 12);
        for (nth, time) in ramp.iter().enumerate() {
            assert!((time - nth as f64 / 4.0).abs() < 1e-9, "{nth}: {time}");
        }
    }

    #[test]
    fn a_ramp_has_its_mean_rate_and_ends_at_its_final_rate() {
        // 10 s from 1/s to 9/s: 50 arrivals, 15 of them in the first half.
        let times = seconds(Arrivals::ramp(1.0, 9.0, 10.0), 69);
        assert_eq!(times.iter().filter(|&&time| time < 5.0 - 1e-9).count(), 15);
        assert_eq!(times.iter().filter(|&&time| time < 10.0 - 1e-9).count(), 50);
        assert!((times[68] - times[67] - 1.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_spread_of_an_exponential() {
        let times = seconds(Arrivals::poisson(5.0, 1), 20_001);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        // The standard error of the mean is 0.2 / √20,000 = 0.0014: five of them.
        assert!((mean - 0.2).abs() < 0.007, "{mean}");
        assert!((deviation - 0.2).abs() < 0.02, "{deviation}");
    }

    proptest! {
        #[test]
        fn times_never_decrease_and_follow_from_the_seed(rate in 0.1f64..1e4, to in 0.1f64..1e4, seed: u64) {
            for arrivals in [Arrivals::constant(rate), Arrivals::poisson(rate, seed), Arrivals::ramp(rate, to, 3.0)] {
                let times = seconds(arrivals.clone(), 500);
                prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
                prop_assert_eq!(times, seconds(arrivals, 500));
            }
        }
    }
}
