//! Progress of a benchmark.

use std::sync::Arc;
use std::time::Instant;

use hostler_loadgen::measure::{LiveCounters, RunSummary};
use hostler_loadgen::rounds::{RunInfo, RunObserver};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::record::Status;

/// Progress of a benchmark. Reading it does not affect the measurement.
#[derive(Debug)]
pub struct BenchmarkProgress {
    status: watch::Sender<Status>,
    run: Mutex<Option<ActiveRun>>,
}

/// The run in progress.
#[derive(Debug)]
struct ActiveRun {
    target: String,
    round: u32,
    rounds: u32,
    is_warm_up: bool,
    requests: u64,
    live: Arc<LiveCounters>,
    began: Instant,
}

/// The progress at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The state of the benchmark.
    pub status: Status,
    /// The run in progress, if there is one.
    pub run: Option<RunProgress>,
}

/// The run in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The layer, or the step of a sweep.
    #[serde(rename = "contestant")]
    pub target: String,
    /// The round, from 1.
    pub round: u32,
    /// Number of rounds.
    pub rounds: u32,
    /// Whether this is the unmeasured warm-up.
    #[serde(default)]
    pub is_warm_up: bool,
    /// Requests of the run.
    pub requests: u64,
    /// Requests that have ended.
    pub requests_ended: u64,
    /// Requests that have failed.
    pub requests_failed: u64,
    /// Requests in flight.
    pub requests_in_flight: u64,
    /// Tokens so far.
    pub tokens: u64,
    /// Tokens per second so far.
    pub tokens_per_second: f64,
}

impl BenchmarkProgress {
    pub(super) fn new(status: Status) -> Arc<Self> {
        Arc::new(Self { status: watch::Sender::new(status), run: Mutex::default() })
    }

    pub(super) fn set_status(&self, status: Status) {
        self.status.send_replace(status);
    }

    /// A receiver of the status.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The current progress.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        let run = self.run.lock();
        ProgressReport { status: *self.status.borrow(), run: run.as_ref().map(ActiveRun::report) }
    }

    fn replace(&self, run: Option<ActiveRun>) {
        *self.run.lock() = run;
    }
}

impl ActiveRun {
    fn report(&self) -> RunProgress {
        let tokens = self.live.tokens();
        RunProgress {
            target: self.target.clone(),
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

impl RunObserver for BenchmarkProgress {
    fn run_started(&self, run: &RunInfo<'_>, live: &Arc<LiveCounters>) {
        let &RunInfo { target, round, rounds, requests, is_warm_up } = run;
        let (target, live, began) = (target.to_owned(), Arc::clone(live), Instant::now());
        self.replace(Some(ActiveRun { target, round, rounds, is_warm_up, requests, live, began }));
    }

    fn run_ended(&self, _: &str, _: &RunSummary) {
        self.replace(None);
    }
}
