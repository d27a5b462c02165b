//! The summary of one run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Distribution, Failure, Percentiles, RequestRecord, Slo, Timeline, Window};
use crate::shape::is_over_saturated;

/// One run of a workload. Rates are those within its window, and latencies those of the
/// requests that were due within it, whenever they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Requests sent.
    pub requests: u64,
    /// Requests that an open loop could not send, because too many were in flight.
    #[serde(default)]
    pub unsent: u64,
    /// The sample of the latencies: the requests that were due within the window and were
    /// answered or timed out.
    pub requests_measured: u64,
    /// Of these, the requests that ended after the window.
    #[serde(default)]
    pub ended_later: u64,
    /// Of these, the requests that timed out. Their times are at least their time limit, and
    /// count with that.
    #[serde(default)]
    pub timed_out: u64,
    /// Requests that failed, those that timed out included.
    pub failed: u64,
    /// Requests whose client disconnected early, as planned. Only their received tokens
    /// count.
    #[serde(default)]
    pub left: u64,
    /// Number of failures of each kind.
    pub failures: BTreeMap<String, u64>,
    /// Length of the window, in seconds.
    pub seconds: f64,
    /// Tokens of all complete answers, including those outside the window.
    pub output_tokens: u64,
    /// Prompt tokens of all complete answers, if the server reported them.
    pub prompt_tokens: Option<u64>,
    /// Whether the server reported the tokens of its answers. Otherwise every piece of an
    /// answer counts as one token.
    pub tokens_counted_by_server: bool,
    /// Answers with fewer tokens than requested.
    pub short_answers: u64,
    /// Output tokens per second.
    pub output_tokens_per_second: f64,
    /// Prompt and output tokens per second, if the server reported prompt tokens.
    pub total_tokens_per_second: Option<f64>,
    /// Complete answers per second.
    pub requests_per_second: f64,
    /// Answers per second that met every objective, if any objective is set.
    pub goodput_per_second: Option<f64>,
    /// Latency percentiles.
    pub latencies: Latencies,
    /// How late requests were sent: a delay of the generator itself.
    pub lateness: Option<Percentiles>,
    /// Whether, in an open loop, the queue grew from start to end.
    pub over_saturated: bool,
    /// CPU time of the client per 1,000 output tokens, in seconds.
    pub client_cpu_seconds_per_1000_tokens: Option<f64>,
    /// CPU time of the client, in seconds per second of the run.
    pub client_cpu_share: Option<f64>,
    /// CPU time of the server per 1,000 output tokens, in seconds.
    pub server_cpu_seconds_per_1000_tokens: Option<f64>,
    /// Resident memory of the client at the end, in bytes.
    pub client_resident_bytes: Option<u64>,
    /// Resident memory of the server at the end, in bytes.
    pub server_resident_bytes: Option<u64>,
    /// Energy that the target used, in joules, if it has a meter.
    pub energy_joules: Option<f64>,
    /// Output tokens per joule of that energy.
    pub output_tokens_per_joule: Option<f64>,
    /// Throughput over time.
    pub timeline: Timeline,
}

/// Latency percentiles; `None` where there is no sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Time to first token.
    pub ttft: Option<Percentiles>,
    /// Inter-token latency.
    pub itl: Option<Percentiles>,
    /// Time per output token.
    pub tpot: Option<Percentiles>,
    /// End-to-end latency.
    pub e2e: Option<Percentiles>,
}

/// Latencies as distributions that can be merged.
#[derive(Clone, Debug, Default)]
pub struct Distributions {
    /// Time to first token.
    pub ttft: Distribution,
    /// Inter-token latency.
    pub itl: Distribution,
    /// Time per output token.
    pub tpot: Distribution,
    /// End-to-end latency.
    pub e2e: Distribution,
}

impl Distributions {
    /// Distributions over `sample`.
    #[must_use]
    fn of(sample: &[&RequestRecord]) -> Self {
        let mut all = Self::default();
        // Answers in one piece have no time to first token, so one that never came has none.
        let is_streamed = sample.iter().any(|record| !record.token_times.is_empty());
        for record in sample {
            let waited = (is_streamed && record.timed_out()).then(|| record.e2e());
            record.ttft().or(waited).into_iter().for_each(|time| all.ttft.record(time));
            record.gaps().for_each(|time| all.itl.record(time));
            record.tpot().into_iter().for_each(|time| all.tpot.record(time));
            all.e2e.record(record.e2e());
        }
        all
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.ttft.merge(&other.ttft);
        self.itl.merge(&other.itl);
        self.tpot.merge(&other.tpot);
        self.e2e.merge(&other.e2e);
    }

    /// The percentiles of each.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        Latencies {
            ttft: self.ttft.percentiles(),
            itl: self.itl.percentiles(),
            tpot: self.tpot.percentiles(),
            e2e: self.e2e.percentiles(),
        }
    }
}

impl RunSummary {
    /// Summarises `records`. The caller adds the requests that were not sent, and the resource
    /// usage of the processes.
    #[must_use]
    pub fn of(records: &[RequestRecord], window: Window, slo: &Slo, open_loop: bool) -> (Self, Distributions) {
        let seconds = window.seconds();
        let is_measured =
            |record: &&RequestRecord| (record.outcome.is_ok() || record.timed_out()) && window.contains_request(record);
        let sample: Vec<&RequestRecord> = records.iter().filter(is_measured).collect();
        let distributions = Distributions::of(&sample);
        let answers: Vec<_> =
            records.iter().filter_map(|record| Some((record, record.outcome.as_ref().ok()?))).collect();
        let mut failures = BTreeMap::new();
        for failure in
            records.iter().filter(|record| record.failed()).filter_map(|record| record.outcome.as_ref().err())
        {
            *failures.entry(failure.kind()).or_insert(0) += 1;
        }
        let output_within: f64 = records.iter().map(|record| record.output_tokens_within(window)).sum();
        let prompt_tokens = answers.iter().map(|(_, answer)| answer.prompt_tokens.map(u64::from)).sum::<Option<u64>>();
        let prompts_within = answers
            .iter()
            .filter(|(record, _)| window.contains(record.token_times.first().copied().unwrap_or(record.ended)))
            .map(|(_, answer)| answer.prompt_tokens.map(f64::from))
            .sum::<Option<f64>>();
        let ended_within = answers.iter().filter(|(record, _)| window.contains(record.ended)).count();
        let good = answers.iter().filter(|(record, _)| window.contains(record.ended) && slo.is_met(record)).count();
        let summary = Self {
            requests: records.len() as u64,
            unsent: 0,
            requests_measured: sample.len() as u64,
            ended_later: sample.iter().filter(|record| record.ended > window.to).count() as u64,
            timed_out: sample.iter().filter(|record| record.timed_out()).count() as u64,
            failed: records.iter().filter(|record| record.failed()).count() as u64,
            left: records.iter().filter(|record| record.outcome == Err(Failure::Disconnected)).count() as u64,
            failures,
            seconds,
            output_tokens: answers.iter().map(|(_, answer)| u64::from(answer.output_tokens)).sum(),
            prompt_tokens: prompt_tokens.filter(|_| !answers.is_empty()),
            tokens_counted_by_server: answers.iter().all(|(_, answer)| answer.counted_by_server),
            short_answers: answers
                .iter()
                .filter(|(record, answer)| answer.output_tokens < record.tokens_requested)
                .count() as u64,
            output_tokens_per_second: output_within / seconds,
            total_tokens_per_second: prompts_within
                .filter(|_| !answers.is_empty())
                .map(|prompts| (prompts + output_within) / seconds),
            requests_per_second: ended_within as f64 / seconds,
            goodput_per_second: (!slo.is_empty()).then_some(good as f64 / seconds),
            latencies: distributions.latencies(),
            lateness: open_loop
                .then(|| records.iter().map(RequestRecord::lateness).collect::<Distribution>().percentiles())
                .flatten(),
            over_saturated: open_loop && over_saturated(records),
            client_cpu_seconds_per_1000_tokens: None,
            client_cpu_share: None,
            server_cpu_seconds_per_1000_tokens: None,
            client_resident_bytes: None,
            server_resident_bytes: None,
            energy_joules: None,
            output_tokens_per_joule: None,
            timeline: Timeline::of(records),
        };
        (summary, distributions)
    }
}

/// Whether both the number in flight and the time to first token grew.
fn over_saturated(records: &[RequestRecord]) -> bool {
    let in_flight: Vec<(f64, f64)> =
        records.iter().map(|record| (record.sent.as_secs_f64(), record.in_flight as f64)).collect();
    let ttft: Vec<(f64, f64)> = records
        .iter()
        .map(|record| (record.sent.as_secs_f64(), record.ttft().unwrap_or_else(|| record.e2e()).as_secs_f64()))
        .collect();
    is_over_saturated(&in_flight, &ttft)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Answer;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A request sent at `sent` ms: first token after 100 ms, then one every 10 ms.
    fn record(sent: u64, tokens: u32) -> RequestRecord {
        let token_times: Vec<_> = (0..u64::from(tokens)).map(|nth| ms(sent + 100 + nth * 10)).collect();
        let ended = token_times.last().copied().unwrap_or(ms(sent));
        RequestRecord {
            index: 0,
            tokens_requested: 50,
            due: ms(sent),
            sent: ms(sent),
            in_flight: 1,
            token_times,
            ended,
            outcome: Ok(Answer { prompt_tokens: Some(20), output_tokens: tokens, counted_by_server: true }),
        }
    }

    #[test]
    fn rates_are_counts_over_the_window() {
        let records = [
            record(0, 41),
            record(500, 41),
            RequestRecord { outcome: Err(Failure::Reported("no".to_owned())), ..record(0, 0) },
        ];
        let window = Window::of(&records, ms(0), ms(0)).expect("the run took 1 s");
        let slo = Slo { e2e_seconds: Some(0.6), ..Slo::default() };
        let (summary, _) = RunSummary::of(&records, window, &slo, false);
        assert!((summary.seconds - 1.0).abs() < 1e-9);
        assert!((summary.output_tokens_per_second - 82.0).abs() < 1e-6);
        assert_eq!(summary.total_tokens_per_second.map(f64::round), Some(122.0));
        assert!((summary.requests_per_second - 2.0).abs() < 1e-9);
        assert_eq!(summary.goodput_per_second, Some(2.0));
        assert_eq!((summary.requests, summary.failed, summary.short_answers), (3, 1, 2));
        assert_eq!(summary.failures.get("error_event"), Some(&1));
        let latencies = summary.latencies;
        assert!((latencies.ttft.expect("tokens came").p50 - 0.1).abs() < 1e-3);
        assert!((latencies.tpot.expect("tokens came").max - 0.01).abs() < 1e-4);
    }

    #[test]
    fn a_planned_disconnect_is_no_failure_and_its_tokens_count() {
        let disconnected = RequestRecord { outcome: Err(Failure::Disconnected), ..record(0, 10) };
        let records = [record(0, 41), disconnected];
        let window = Window::of(&records, ms(0), ms(0)).expect("the run took 500 ms");
        let (summary, _) = RunSummary::of(&records, window, &Slo::default(), false);
        assert_eq!((summary.requests, summary.failed, summary.left), (2, 0, 1));
        assert!(summary.failures.is_empty());
        assert!((summary.output_tokens_per_second - 51.0 / 0.5).abs() < 1e-6, "{summary:?}");
        assert!((summary.requests_per_second - 2.0).abs() < 1e-9);
    }

    #[test]
    fn long_answers_and_timeouts_count_whenever_they_end() {
        let slow = RequestRecord { ended: ms(5000), ..record(100, 41) };
        let limit = Failure::TimedOut(ms(9000));
        let timed_out = RequestRecord { ended: ms(9100), outcome: Err(limit), ..record(100, 0) };
        let refused = Failure::Status { status: 429, message: String::new() };
        let refused = RequestRecord { outcome: Err(refused), ..record(100, 0) };
        let records = [record(0, 41), slow, timed_out, refused];
        let window = Window::of(&records, ms(0), ms(8000)).expect("1.1 s are left");
        let (summary, _) = RunSummary::of(&records, window, &Slo::default(), true);
        assert_eq!((summary.requests_measured, summary.ended_later), (3, 2));
        assert_eq!((summary.timed_out, summary.failed), (1, 2));
        let (ttft, e2e) = (summary.latencies.ttft.expect("tokens"), summary.latencies.e2e.expect("ends"));
        assert!(ttft.max > 8.9 && e2e.max > 8.9 && (ttft.count, e2e.count) == (3, 3), "{ttft:?} {e2e:?}");
    }

    #[test]
    fn requests_due_outside_the_window_are_excluded() {
        let records = [record(0, 41), record(500, 41), record(1000, 41)];
        let window = Window::of(&records, ms(400), ms(450)).expect("650 ms are left");
        let (summary, _) = RunSummary::of(&records, window, &Slo::default(), false);
        // The second ends within the window, the third after it.
        assert_eq!((summary.requests, summary.requests_measured, summary.ended_later), (3, 2, 1));
        assert_eq!(summary.goodput_per_second, None);
        // 400 to 1,050 ms: 11 tokens of the first answer, all of the second.
        assert!((summary.output_tokens_per_second - 52.0 / 0.65).abs() < 1e-6, "{summary:?}");
    }
}
