//! Records one request while it runs, and live counters of a whole run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Answer, Failure, RequestRecord};
use crate::workload::Job;

/// Counters of a run that can be read while it goes on, for progress displays. Results use
/// only [`unsent`](Self::unsent): there is no record of such a request.
#[derive(Debug, Default)]
pub struct LiveCounters {
    tokens: AtomicU64,
    in_flight: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    unsent: AtomicU64,
}

impl LiveCounters {
    /// Tokens so far. Tokens without text are added when their answer ends.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that have ended, including failed ones.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Requests that have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Requests that were due but not sent, because too many were in flight.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    pub(crate) fn add_unsent(&self, count: u64) {
        self.unsent.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a request as sent. Returns the number in flight, including this one.
    fn request_sent(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn request_ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn request_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn add_tokens(&self, count: u64) {
        self.tokens.fetch_add(count, Ordering::Relaxed);
    }
}

/// Measures one request. Dropping it counts the request as ended.
#[derive(Debug)]
pub struct Stopwatch {
    origin: Instant,
    tokens_requested: u32,
    due: Duration,
    sent: Duration,
    in_flight: u64,
    token_times: Vec<Duration>,
    live: Arc<LiveCounters>,
    disconnect_after: Option<u32>,
    disconnect: Arc<Notify>,
    /// The answer's text, if the job keeps it.
    text: Option<String>,
}

impl Stopwatch {
    /// Starts when the request is sent. `origin` is the start of the run; `due` is when the
    /// request should have been sent (`None`: now).
    #[must_use]
    pub fn start(origin: Instant, due: Option<Duration>, job: &Job, live: Arc<LiveCounters>) -> Self {
        let in_flight = live.request_sent();
        // Bounded, because `max_tokens` may be far larger than the answer.
        let token_times = Vec::with_capacity(job.max_tokens.min(4096) as usize);
        let sent = origin.elapsed();
        Self {
            origin,
            tokens_requested: job.max_tokens,
            due: due.unwrap_or(sent),
            sent,
            in_flight,
            token_times,
            live,
            disconnect_after: job.disconnect_after,
            disconnect: Arc::default(),
            text: job.keeps_answer.then(String::new),
        }
    }

    /// Notified when the client has to disconnect.
    #[must_use]
    pub fn disconnect_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.disconnect)
    }

    /// Records a token, or a piece of text that the server sent as one, received at `at`.
    pub fn record_token(&mut self, at: Instant) {
        self.token_times.push(at.saturating_duration_since(self.origin));
        self.live.add_tokens(1);
        if self.disconnect_after.is_some_and(|after| self.token_times.len() == after as usize) {
            self.disconnect.notify_one();
        }
    }

    /// Appends to the answer's text, if the job keeps it for the next turn.
    pub fn record_text(&mut self, piece: &str) {
        if let Some(text) = &mut self.text {
            text.push_str(piece);
        }
    }

    /// Takes the answer's text; empty if it was not kept.
    pub fn take_text(&mut self) -> String {
        self.text.take().unwrap_or_default()
    }

    /// The request has ended.
    #[must_use]
    pub fn finish(mut self, index: u64, outcome: Result<Answer, Failure>) -> RequestRecord {
        let ended = self.origin.elapsed();
        match &outcome {
            // Tokens without text of their own were not recorded one by one.
            Ok(answer) => {
                let pieces = u32::try_from(self.token_times.len()).unwrap_or(u32::MAX);
                self.live.add_tokens(u64::from(answer.output_tokens.saturating_sub(pieces)));
            }
            Err(Failure::Disconnected) => {}
            Err(_) => self.live.request_failed(),
        }
        RequestRecord {
            index,
            tokens_requested: self.tokens_requested,
            due: self.due,
            sent: self.sent,
            in_flight: self.in_flight,
            token_times: std::mem::take(&mut self.token_times),
            ended,
            outcome,
        }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.live.request_ended();
    }
}
