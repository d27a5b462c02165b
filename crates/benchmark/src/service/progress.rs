//! How a benchmark that is under way goes on, for whoever watches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::record::Status;
use crate::bench::Observer;
use crate::measure::{Live, RunSummary};

/// How a benchmark goes on. It can be asked at any time, and costs the benchmark
/// nothing.
#[derive(Debug)]
pub struct Progress {
    status: watch::Sender<Status>,
    run: Mutex<Option<RunUnderWay>>,
}

#[derive(Debug)]
struct RunUnderWay {
    contestant: String,
    round: u32,
    rounds: u32,
    is_warm_up: bool,
    requests: u64,
    live: Arc<Live>,
    began: Instant,
}

/// What there is to say at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// How far the benchmark has come.
    pub status: Status,
    /// The run that is under way, if one is.
    pub run: Option<RunProgress>,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    /// Which layer, or which step of a sweep.
    pub contestant: String,
    /// Which round, from 1.
    pub round: u32,
    /// Of so many.
    pub rounds: u32,
    /// Whether this is but its warm-up, which counts for nothing.
    #[serde(default)]
    pub is_warm_up: bool,
    /// Requests of the run.
    pub requests: u64,
    /// Those that have ended.
    pub requests_ended: u64,
    /// Those that failed.
    pub requests_failed: u64,
    /// Those in flight.
    pub requests_in_flight: u64,
    /// Tokens so far.
    pub tokens: u64,
    /// Tokens per second so far.
    pub tokens_per_second: f64,
}

impl Progress {
    pub(super) fn new(status: Status) -> Arc<Self> {
        Arc::new(Self { status: watch::Sender::new(status), run: Mutex::default() })
    }

    pub(super) fn enter(&self, status: Status) {
        self.status.send_replace(status);
    }

    /// Every change of the status.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// How it goes on now.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        ProgressReport { status: *self.status.borrow(), run: run.as_ref().map(RunUnderWay::report) }
    }

    fn replace(&self, run: Option<RunUnderWay>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }
}

impl RunUnderWay {
    fn report(&self) -> RunProgress {
        let tokens = self.live.tokens();
        RunProgress {
            contestant: self.contestant.clone(),
            round: self.round,
            rounds: self.rounds,
            is_warm_up: self.is_warm_up,
            requests: self.requests,
            requests_ended: self.live.ended(),
            requests_failed: self.live.failed(),
            requests_in_flight: self.live.in_flight(),
            tokens,
            tokens_per_second: tokens as f64 / self.began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE),
        }
    }
}

impl Observer for Progress {
    fn warm_up_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>) {
        let (contestant, live, began) = (contestant.to_owned(), Arc::clone(live), Instant::now());
        self.replace(Some(RunUnderWay { contestant, round, rounds, is_warm_up: true, requests, live, began }));
    }

    fn run_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>) {
        let (contestant, live, began) = (contestant.to_owned(), Arc::clone(live), Instant::now());
        self.replace(Some(RunUnderWay { contestant, round, rounds, is_warm_up: false, requests, live, began }));
    }

    fn run_ended(&self, _: &str, _: &RunSummary) {
        self.replace(None);
    }
}
