//! Notes what happens to one request, while it happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Answer, Failure, Live, RequestRecord};
use crate::workload::Job;

/// Takes the times of one request. Dropping it counts the request as ended.
#[derive(Debug)]
pub struct Stopwatch {
    origin: Instant,
    tokens_asked: u32,
    due: Duration,
    sent: Duration,
    in_flight: u64,
    token_times: Vec<Duration>,
    live: Arc<Live>,
    /// After how many tokens the client leaves.
    leaves_after: Option<u32>,
    leaves: Arc<Notify>,
    /// The text of the answer, where it is wanted.
    text: Option<String>,
}

impl Stopwatch {
    /// The request is sent now. `origin` is when the run began, `due` when it
    /// should have been sent (`None`: now).
    #[must_use]
    pub fn start(origin: Instant, due: Option<Duration>, job: &Job, live: Arc<Live>) -> Self {
        let in_flight = live.sent();
        // No more room than a long answer needs is taken in advance.
        let token_times = Vec::with_capacity(job.max_tokens.min(4096) as usize);
        let sent = origin.elapsed();
        Self {
            origin,
            tokens_asked: job.max_tokens,
            due: due.unwrap_or(sent),
            sent,
            in_flight,
            token_times,
            live,
            leaves_after: job.leaves_after,
            leaves: Arc::default(),
            text: job.keeps_answer.then(String::new),
        }
    }

    /// Says when the client leaves: after so many tokens as the job says.
    #[must_use]
    pub fn leaves(&self) -> Arc<Notify> {
        Arc::clone(&self.leaves)
    }

    /// A piece of the answer's text. Only a conversation needs it.
    pub fn text(&mut self, piece: &str) {
        if let Some(text) = &mut self.text {
            text.push_str(piece);
        }
    }

    /// The text of the answer so far, where it was wanted.
    pub fn take_text(&mut self) -> String {
        self.text.take().unwrap_or_default()
    }

    /// A token, or a piece of text that the server sent as one, came at `at`.
    pub fn token(&mut self, at: Instant) {
        self.token_times.push(at.saturating_duration_since(self.origin));
        self.live.token(1);
        if self.leaves_after.is_some_and(|after| self.token_times.len() == after as usize) {
            self.leaves.notify_one();
        }
    }

    /// The answer is complete, or will not be.
    #[must_use]
    pub fn end(mut self, index: u64, outcome: Result<Answer, Failure>) -> RequestRecord {
        let ended = self.origin.elapsed();
        match &outcome {
            // Tokens that came without text of their own are counted now.
            Ok(answer) => {
                let pieces = u32::try_from(self.token_times.len()).unwrap_or(u32::MAX);
                self.live.token(u64::from(answer.output_tokens.saturating_sub(pieces)));
            }
            Err(Failure::Left) => {}
            Err(_) => self.live.failed_one(),
        }
        RequestRecord {
            index,
            tokens_asked: self.tokens_asked,
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
        self.live.gone();
    }
}
