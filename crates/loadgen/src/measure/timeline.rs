//! Throughput over time.

use serde::{Deserialize, Serialize};

use super::RequestRecord;

/// Most buckets: as many as a plot of the usual width shows.
const BUCKETS_MAX: u32 = 120;

/// Shortest bucket, in seconds: shorter ones would show single tokens.
const BUCKET_SECONDS_MIN: f64 = 0.1;

/// Output tokens per second over the run, in buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Length of a bucket, in seconds.
    pub bucket_seconds: f64,
    /// Tokens per second in each bucket.
    pub tokens_per_second: Vec<f64>,
}

impl Timeline {
    /// The timeline of `records`, from the start of the run to the last end.
    #[must_use]
    pub fn of(records: &[RequestRecord]) -> Self {
        let seconds = records.iter().map(|record| record.ended.as_secs_f64()).fold(0.0, f64::max);
        let bucket_seconds = (seconds / f64::from(BUCKETS_MAX)).max(BUCKET_SECONDS_MIN);
        let count = (seconds / bucket_seconds).ceil().max(1.0);
        let mut tokens = vec![0.0; count as usize];
        let last = tokens.len() - 1;
        for record in records {
            let Ok(answer) = &record.outcome else { continue };
            let ended = [record.ended];
            let times = if record.token_times.is_empty() { &ended[..] } else { &record.token_times };
            let share = f64::from(answer.output_tokens) / times.len() as f64;
            for time in times {
                tokens[((time.as_secs_f64() / bucket_seconds) as usize).min(last)] += share;
            }
        }
        Self { bucket_seconds, tokens_per_second: tokens.into_iter().map(|tokens| tokens / bucket_seconds).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Answer;

    #[test]
    fn the_buckets_contain_every_token() {
        let record = |offset: u64| RequestRecord {
            index: 0,
            tokens_requested: 50,
            due: Duration::ZERO,
            sent: Duration::ZERO,
            in_flight: 1,
            token_times: (1..=50).map(|nth| Duration::from_millis(offset + nth * 37)).collect(),
            ended: Duration::from_millis(offset + 50 * 37),
            outcome: Ok(Answer { prompt_tokens: None, output_tokens: 50, counted_by_server: true }),
        };
        let timeline = Timeline::of(&[record(0), record(40_000)]);
        let tokens: f64 = timeline.tokens_per_second.iter().map(|rate| rate * timeline.bucket_seconds).sum();
        assert!((tokens - 100.0).abs() < 1e-6, "{tokens}");
        assert!(timeline.tokens_per_second.len() <= BUCKETS_MAX as usize + 1);
        assert_eq!(Timeline::of(&[]).tokens_per_second, [0.0]);
    }
}
