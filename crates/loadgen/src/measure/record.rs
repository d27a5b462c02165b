//! The record of one request, and what is derived from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Failure;

/// One request. All times are measured from the start of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRecord {
    /// Index in the workload.
    pub index: u64,
    /// Requested number of output tokens.
    pub tokens_requested: u32,
    /// When it should have been sent. Its times start here: a client of an open loop that had to
    /// wait for the generator has waited nonetheless.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// Number of requests in flight at that time, including this one.
    pub in_flight: u64,
    /// When each token with text arrived; empty if the answer came in one piece.
    pub token_times: Vec<Duration>,
    /// When it ended.
    pub ended: Duration,
    /// The answer, or why there is no complete one.
    pub outcome: Result<Answer, Failure>,
}

/// Token counts of a complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tokens of the prompt, if the server reported them.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// Whether the server reported that number; otherwise it is the number of pieces
    /// received.
    pub counted_by_server: bool,
}

/// The measured part of a run, as times from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Start of the window.
    pub from: Duration,
    /// End of the window.
    pub to: Duration,
}

impl Window {
    /// From when the first request was due to the end of the last one, without `head` at the start
    /// (the warm-up) and `tail` at the end (the cool-down, in which the load declines).
    /// `None` if nothing remains.
    #[must_use]
    pub fn of(records: &[RequestRecord], head: Duration, tail: Duration) -> Option<Self> {
        let from = records.iter().map(|record| record.due).min()? + head;
        let to = records.iter().map(|record| record.ended).max()?.checked_sub(tail)?;
        (from < to).then_some(Self { from, to })
    }

    /// Length in seconds, above 0.
    #[must_use]
    pub fn seconds(self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }

    /// Whether `time` is within the window, both ends included.
    #[must_use]
    pub fn contains(self, time: Duration) -> bool {
        (self.from..=self.to).contains(&time)
    }

    /// Whether the request belongs to the sample of the latencies: it was due within the
    /// window. When it ended makes no difference: the longest answers would be left out.
    #[must_use]
    pub fn contains_request(self, record: &RequestRecord) -> bool {
        self.contains(record.due)
    }
}

impl RequestRecord {
    /// Time to first token; `None` if the answer came in one piece.
    #[must_use]
    pub fn ttft(&self) -> Option<Duration> {
        self.token_times.first().map(|first| first.saturating_sub(self.due))
    }

    /// Whether the request failed. A planned disconnect is not a failure.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(&self.outcome, Err(failure) if *failure != Failure::Disconnected)
    }

    /// Whether it was given up after its time limit.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        matches!(self.outcome, Err(Failure::TimedOut(_)))
    }

    /// Time from when it was due to the end.
    #[must_use]
    pub fn e2e(&self) -> Duration {
        self.ended.saturating_sub(self.due)
    }

    /// (E2E − TTFT) / (n − 1) for n ≥ 2 streamed tokens.
    #[must_use]
    pub fn tpot(&self) -> Option<Duration> {
        let further = self.outcome.as_ref().ok()?.output_tokens.checked_sub(1).filter(|&further| further > 0)?;
        Some(self.e2e().saturating_sub(self.ttft()?) / further)
    }

    /// The gaps between tokens.
    pub fn gaps(&self) -> impl Iterator<Item = Duration> {
        self.token_times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
    }

    /// How long after its due time the request was sent.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        self.sent.saturating_sub(self.due)
    }

    /// Output tokens received within `window`. If the server's count differs from the number
    /// of pieces (a piece may contain several tokens, and a token may have no text), each
    /// piece counts for its share.
    #[must_use]
    pub fn output_tokens_within(&self, window: Window) -> f64 {
        let total = match &self.outcome {
            Ok(answer) => f64::from(answer.output_tokens),
            // The server produced these before the client disconnected.
            Err(Failure::Disconnected) => self.token_times.len() as f64,
            Err(_) => return 0.0,
        };
        if self.token_times.is_empty() {
            return if window.contains(self.ended) { total } else { 0.0 };
        }
        let within = self.token_times.iter().filter(|&&time| window.contains(time)).count();
        total * within as f64 / self.token_times.len() as f64
    }
}

/// Service-level objectives of a request that counts towards goodput. Unset objectives
/// are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Longest time to the first token, in seconds.
    pub ttft_seconds: Option<f64>,
    /// Longest time per output token after the first, in seconds.
    pub tpot_seconds: Option<f64>,
    /// Longest time to the end of the answer, in seconds.
    pub e2e_seconds: Option<f64>,
}

impl Slo {
    /// Whether no objective is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the request succeeded and met every objective. A time that does not exist
    /// (TTFT of an answer in one piece, TPOT of an answer of one token) violates none.
    #[must_use]
    pub fn is_met(&self, record: &RequestRecord) -> bool {
        let within = |time: Option<Duration>, limit: Option<f64>| match (time, limit) {
            (Some(time), Some(limit)) => time.as_secs_f64() <= limit,
            _ => true,
        };
        record.outcome.is_ok()
            && within(record.ttft(), self.ttft_seconds)
            && within(record.tpot(), self.tpot_seconds)
            && within(Some(record.e2e()), self.e2e_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn record(token_ms: &[u64], output_tokens: u32) -> RequestRecord {
        RequestRecord {
            index: 0,
            tokens_requested: 8,
            due: ms(90),
            sent: ms(100),
            in_flight: 1,
            token_times: token_ms.iter().copied().map(ms).collect(),
            ended: ms(500),
            outcome: Ok(Answer { prompt_tokens: Some(5), output_tokens, counted_by_server: true }),
        }
    }

    #[test]
    fn times_follow_their_definitions() {
        let record = record(&[200, 300, 350, 500], 4);
        // Due at 90 ms, sent at 100.
        assert_eq!(record.ttft(), Some(ms(110)));
        assert_eq!(record.e2e(), ms(410));
        assert_eq!(record.tpot(), Some(ms(100)));
        assert_eq!(record.gaps().collect::<Vec<_>>(), [ms(100), ms(50), ms(150)]);
        assert_eq!(record.lateness(), ms(10));
    }

    #[test]
    fn an_answer_in_one_piece_has_no_token_times() {
        let record = record(&[], 4);
        assert_eq!((record.ttft(), record.tpot()), (None, None));
        assert!((record.output_tokens_within(Window { from: ms(0), to: ms(500) }) - 4.0).abs() < 1e-9);
        assert!(record.output_tokens_within(Window { from: ms(0), to: ms(499) }).abs() < 1e-9);
    }

    #[test]
    fn pieces_count_for_their_share_of_the_tokens() {
        let record = record(&[200, 300, 400, 500], 8);
        assert!((record.output_tokens_within(Window { from: ms(250), to: ms(450) }) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn the_window_excludes_head_and_tail() {
        let records = [record(&[200], 1)];
        assert_eq!(Window::of(&records, ms(50), ms(100)), Some(Window { from: ms(140), to: ms(400) }));
        assert_eq!(Window::of(&records, ms(410), ms(0)), None);
        assert_eq!(Window::of(&[], ms(0), ms(0)), None);
        assert!(!Window { from: ms(150), to: ms(600) }.contains_request(&records[0]));
        assert!(Window { from: ms(50), to: ms(200) }.contains_request(&records[0]), "it ends later");
    }
}
