//! Sends the requests of a run.

mod closed;
mod open;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use crate::measure::{Failure, Live, RequestRecord, Stopwatch};
use crate::shape::{Pace, Shape};
use crate::target::Target;
use crate::workload::{Job, Turn, Workload};

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
    let mut records = match shape.pace(workload) {
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

    /// How many conversations there are; for most workloads each is one request.
    fn conversations(&self) -> u64 {
        self.extent.requests.div_ceil(self.workload.turns())
    }

    /// The first request of the `nth` conversation.
    fn opening(&self, nth: u64) -> Job {
        self.workload.job(self.extent.first + nth * self.workload.turns())
    }

    /// Holds a conversation: makes its requests one after the other, until there is
    /// no answer to go on from.
    async fn converse(&self, nth: u64, opening: Job, due: Option<Duration>) -> Vec<RequestRecord> {
        let turns = self.workload.turns();
        let last = (turns * (nth + 1)).min(self.extent.requests) + self.extent.first;
        let mut records = Vec::new();
        let (mut job, mut due) = (opening, due);
        loop {
            let (record, answer) = self.request(&job, due.take()).await;
            let next = job.index + 1;
            let goes_on = record.outcome.is_ok() && next < last && !self.is_over();
            records.push(record);
            if !goes_on {
                return records;
            }
            let Job { mut history, prompt, .. } = job;
            history.push(Turn { prompt, answer });
            job = Job { history, ..self.workload.job(next) };
        }
    }

    /// Makes a request, and notes what happens to it; and its text, if that is wanted.
    async fn request(&self, job: &Job, due: Option<Duration>) -> (RequestRecord, String) {
        let mut stopwatch = Stopwatch::start(self.origin, due, job, Arc::clone(&self.live));
        let (most, leaves) = (self.extent.request_time_max, stopwatch.leaves());
        let answer = tokio::select! {
            // An answer that is complete with the last token before leaving is complete.
            biased;
            answer = tokio::time::timeout(most, self.target.generate(job, &mut stopwatch)) => {
                answer.unwrap_or(Err(Failure::TimedOut(most)))
            }
            () = leaves.notified() => Err(Failure::Left),
        };
        let text = stopwatch.take_text();
        (stopwatch.end(job.index, answer), text)
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
