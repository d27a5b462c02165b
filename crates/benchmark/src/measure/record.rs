//! What happened to one request.

use std::time::Duration;

use super::Failure;

/// One request. All times are measured from the beginning of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRecord {
    /// Its place in the workload.
    pub index: u64,
    /// How many tokens it may bring, or shall.
    pub tokens_asked: u32,
    /// When it should have been sent.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// How many requests were in flight then, this one included.
    pub in_flight: u64,
    /// When each token with text came; empty when the answer came in one piece.
    pub token_times: Vec<Duration>,
    /// When it ended.
    pub ended: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, Failure>,
}

/// What a complete answer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tokens of the prompt, where the server told.
    pub prompt_tokens: Option<u32>,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// Whether the server told that number; otherwise it is the number of pieces
    /// that came.
    pub counted_by_server: bool,
}

/// A part of a run, from its beginning: only what lies within is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub from: Duration,
    /// Where it ends.
    pub to: Duration,
}

impl Window {
    /// From the first request sent to the last one ended, without `head` at its
    /// beginning (the warm-up) and `tail` at its end (the cool-down, in which
    /// the load declines). `None` if nothing is left.
    #[must_use]
    pub fn of(records: &[RequestRecord], head: Duration, tail: Duration) -> Option<Self> {
        let from = records.iter().map(|record| record.sent).min()? + head;
        let to = records.iter().map(|record| record.ended).max()?.checked_sub(tail)?;
        (from < to).then_some(Self { from, to })
    }

    /// Its length in seconds, above 0.
    #[must_use]
    pub fn seconds(self) -> f64 {
        (self.to - self.from).as_secs_f64()
    }

    /// Whether `time` lies within, both ends included.
    #[must_use]
    pub fn contains(self, time: Duration) -> bool {
        (self.from..=self.to).contains(&time)
    }

    /// Whether the request was sent within and ended within.
    #[must_use]
    pub fn holds(self, record: &RequestRecord) -> bool {
        self.contains(record.sent) && self.contains(record.ended)
    }
}

impl RequestRecord {
    /// From sending to the first token; `None` when the answer came in one piece.
    #[must_use]
    pub fn ttft(&self) -> Option<Duration> {
        self.token_times.first().map(|first| first.saturating_sub(self.sent))
    }

    /// Whether the request failed. One whose client left as planned did not.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(&self.outcome, Err(failure) if *failure != Failure::Left)
    }

    /// From sending to the end.
    #[must_use]
    pub fn e2e(&self) -> Duration {
        self.ended.saturating_sub(self.sent)
    }

    /// (E2E − TTFT) / (n − 1) for n ≥ 2 tokens that came one by one.
    #[must_use]
    pub fn tpot(&self) -> Option<Duration> {
        let further = self.outcome.as_ref().ok()?.output_tokens.checked_sub(1).filter(|&further| further > 0)?;
        Some(self.e2e().saturating_sub(self.ttft()?) / further)
    }

    /// Every gap between two tokens.
    pub fn gaps(&self) -> impl Iterator<Item = Duration> {
        self.token_times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
    }

    /// How much too late it was sent.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        self.sent.saturating_sub(self.due)
    }

    /// Tokens that came within `window`. Where the server's own count differs
    /// from the number of pieces (one piece may hold several tokens, or a token
    /// have no text), each piece counts for its share.
    #[must_use]
    pub fn output_tokens_within(&self, window: Window) -> f64 {
        let total = match &self.outcome {
            Ok(answer) => f64::from(answer.output_tokens),
            // What came before the client left was served.
            Err(Failure::Left) => self.token_times.len() as f64,
            Err(_) => return 0.0,
        };
        if self.token_times.is_empty() {
            return if window.contains(self.ended) { total } else { 0.0 };
        }
        let within = self.token_times.iter().filter(|&&time| window.contains(time)).count();
        total * within as f64 / self.token_times.len() as f64
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
            tokens_asked: 8,
            due: ms(90),
            sent: ms(100),
            in_flight: 1,
            token_times: token_ms.iter().copied().map(ms).collect(),
            ended: ms(500),
            outcome: Ok(Answer { prompt_tokens: Some(5), output_tokens, counted_by_server: true }),
        }
    }

    #[test]
    fn times_are_as_defined() {
        let record = record(&[200, 300, 350, 500], 4);
        assert_eq!(record.ttft(), Some(ms(100)));
        assert_eq!(record.e2e(), ms(400));
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
    fn the_window_leaves_out_head_and_tail() {
        let records = [record(&[200], 1)];
        assert_eq!(Window::of(&records, ms(50), ms(100)), Some(Window { from: ms(150), to: ms(400) }));
        assert_eq!(Window::of(&records, ms(400), ms(0)), None);
        assert_eq!(Window::of(&[], ms(0), ms(0)), None);
        assert!(!Window { from: ms(150), to: ms(600) }.holds(&records[0]));
    }
}
