//! Sends the requests of a run.

mod closed;
mod open;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use crate::measure::{Failure, Live, RequestRecord, Stopwatch};
use crate::shape::{Pace, Shape};
use crate::target::Target;
use crate::workload::{Job, Workload};

/// How much is sent, and how long anything may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Index of the first request in the workload.
    pub first: u64,
    /// How many requests are sent.
    pub requests: u64,
    /// No request is sent after this time.
    pub time_max: Option<Duration>,
    /// A request that takes longer has failed.
    pub request_time_max: Duration,
}

/// Sends the requests of `workload` that `extent` says, in the shape that
/// `shape` says, and returns what happened to each, in the order of the workload.
/// Dropping the future cancels all of them.
pub async fn drive(
    target: &Arc<dyn Target>,
    workload: &Arc<Workload>,
    shape: &Shape,
    extent: Extent,
    live: &Arc<Live>,
) -> Vec<RequestRecord> {
    let run = Run {
        target: Arc::clone(target),
        workload: Arc::clone(workload),
        extent,
        live: Arc::clone(live),
        origin: Instant::now(),
    };
    let mut records = match shape.pace(workload.seed) {
        Pace::Closed { in_flight } => closed::drive(run, in_flight).await,
        Pace::Open(arrivals) => open::drive(run, arrivals).await,
    };
    records.sort_by_key(|record| record.index);
    records
}

/// What every request of a run needs to know.
#[derive(Clone)]
struct Run {
    target: Arc<dyn Target>,
    workload: Arc<Workload>,
    extent: Extent,
    live: Arc<Live>,
    origin: Instant,
}

impl Run {
    /// Whether it is too late to send another request.
    fn is_over(&self) -> bool {
        self.extent.time_max.is_some_and(|most| self.origin.elapsed() >= most)
    }

    /// The `nth` request.
    fn job(&self, nth: u64) -> Job {
        self.workload.job(self.extent.first + nth)
    }

    /// Makes a request, and notes what happens to it.
    async fn request(&self, job: Job, due: Option<Duration>) -> RequestRecord {
        let mut stopwatch = Stopwatch::start(self.origin, due, job.max_tokens, Arc::clone(&self.live));
        let most = self.extent.request_time_max;
        let answer = tokio::time::timeout(most, self.target.generate(&job, &mut stopwatch)).await;
        stopwatch.end(job.index, answer.unwrap_or(Err(Failure::TimedOut(most))))
    }
}

/// What all tasks bring. A panic in one of them goes on here.
async fn collect<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        all.push(result.unwrap_or_else(|error| resume(error)));
    }
    all
}

fn resume(error: JoinError) -> ! {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Tasks are aborted only by dropping the set, which ends this future too.
        Err(error) => unreachable!("a task was aborted while it was waited for: {error}"),
    }
}
