//! Sends the requests of one run.
//!
//! A closed loop keeps a number of requests in flight and sends the next one when one
//! ends. An open loop sends each request when it is due, however long answers take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use crate::measure::{Failure, LiveCounters, RequestRecord, Stopwatch};
use crate::shape::{Arrivals, Pace, Shape};
use crate::target::Target;
use crate::workload::{Job, Turn, Workload};

/// Most requests in flight of an open loop. One that sends more than the target can
/// answer would otherwise use up memory or connections; by then the overload is visible
/// in the measurement.
pub const OPEN_LOOP_IN_FLIGHT_MAX: usize = 4096;

/// How many requests are sent, and the time limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunLimits {
    /// Index of the first request in the workload.
    pub first: u64,
    /// Number of requests to send.
    pub requests: u64,
    /// No request is sent after this time.
    pub time_max: Option<Duration>,
    /// A request that takes longer fails.
    pub request_time_max: Duration,
    /// Most requests in flight of an open loop: [`OPEN_LOOP_IN_FLIGHT_MAX`].
    pub in_flight_max: usize,
}

/// Sends requests of `workload` to `target` within `limits`, at the times of `shape`. Returns
/// one record for each request that was sent, in workload order; those that an open loop had to
/// leave out are counted in `live`. Dropping the future cancels
/// all requests.
pub async fn drive(
    target: &Arc<dyn Target>,
    workload: &Arc<Workload>,
    shape: &Shape,
    limits: RunLimits,
    live: &Arc<LiveCounters>,
) -> Vec<RequestRecord> {
    let run = Run {
        target: Arc::clone(target),
        workload: Arc::clone(workload),
        limits,
        live: Arc::clone(live),
        origin: Instant::now(),
    };
    let mut records = match shape.pace(workload) {
        Pace::Closed { in_flight } => closed_loop(run, in_flight).await,
        Pace::Open(arrivals) => open_loop(run, arrivals).await,
    };
    records.sort_by_key(|record| record.index);
    records
}

async fn closed_loop(run: Run, in_flight: u32) -> Vec<RequestRecord> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..u64::from(in_flight).min(run.conversations()) {
        workers.spawn(run_conversations(run.clone(), Arc::clone(&next)));
    }
    join_all(workers).await
}

/// Runs one conversation after the other until none is left.
async fn run_conversations(run: Run, next: Arc<AtomicU64>) -> Vec<RequestRecord> {
    let mut records = Vec::new();
    while !run.is_over() {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= run.conversations() {
            break;
        }
        records.extend(run.run_conversation(nth, run.first_job(nth), None).await);
    }
    records
}

async fn open_loop(run: Run, arrivals: Arrivals) -> Vec<RequestRecord> {
    let mut conversations = JoinSet::new();
    let mut records = Vec::new();
    for (nth, due) in (0..run.conversations()).zip(arrivals) {
        if run.limits.time_max.is_some_and(|time_max| due >= time_max) {
            break;
        }
        let first_job = run.first_job(nth);
        tokio::time::sleep_until((run.origin + due).into()).await;
        // This one is skipped, and not the rest of the load: the overload must last.
        while let Some(ended) = conversations.try_join_next() {
            records.extend(joined(ended));
        }
        if conversations.len() >= run.limits.in_flight_max {
            run.live.add_unsent(run.turns_of(nth));
            continue;
        }
        let run = run.clone();
        conversations.spawn(async move { run.run_conversation(nth, first_job, Some(due)).await });
    }
    records.extend(join_all(conversations).await);
    records
}

/// What the requests of a run share.
#[derive(Clone)]
struct Run {
    target: Arc<dyn Target>,
    workload: Arc<Workload>,
    limits: RunLimits,
    live: Arc<LiveCounters>,
    origin: Instant,
}

impl Run {
    /// Whether no further request may be sent.
    fn is_over(&self) -> bool {
        self.limits.time_max.is_some_and(|time_max| self.origin.elapsed() >= time_max)
    }

    /// Number of conversations. In most workloads each is a single request.
    fn conversations(&self) -> u64 {
        self.limits.requests.div_ceil(self.workload.turns())
    }

    /// Number of requests of the `nth` conversation; the last one may be cut.
    fn turns_of(&self, nth: u64) -> u64 {
        let turns = self.workload.turns();
        turns.min(self.limits.requests - nth * turns)
    }

    /// The first request of the `nth` conversation.
    fn first_job(&self, nth: u64) -> Job {
        self.workload.job(self.limits.first + nth * self.workload.turns())
    }

    /// Sends the requests of a conversation one after the other. A request that fails
    /// ends the conversation, because the next turn needs its answer.
    async fn run_conversation(&self, nth: u64, first_job: Job, due: Option<Duration>) -> Vec<RequestRecord> {
        let end = nth * self.workload.turns() + self.turns_of(nth) + self.limits.first;
        let mut records = Vec::new();
        let (mut job, mut due) = (first_job, due);
        loop {
            let (record, answer) = self.send(&job, due.take()).await;
            let next = job.index + 1;
            let continues = record.outcome.is_ok() && next < end && !self.is_over();
            records.push(record);
            if !continues {
                return records;
            }
            let Job { mut history, prompt, .. } = job;
            history.push(Turn { prompt, answer });
            job = Job { history, ..self.workload.job(next) };
        }
    }

    /// Sends a request and records it. Returns the answer's text if the job keeps it.
    async fn send(&self, job: &Job, due: Option<Duration>) -> (RequestRecord, String) {
        let mut stopwatch = Stopwatch::start(self.origin, due, job, Arc::clone(&self.live));
        let (time_max, disconnect) = (self.limits.request_time_max, stopwatch.disconnect_signal());
        let outcome = tokio::select! {
            // An answer that completes with the last token before the disconnect counts as complete.
            biased;
            answer = tokio::time::timeout(time_max, self.target.generate(job, &mut stopwatch)) => {
                answer.unwrap_or(Err(Failure::TimedOut(time_max)))
            }
            () = disconnect.notified() => Err(Failure::Disconnected),
        };
        let text = stopwatch.take_text();
        (stopwatch.finish(job.index, outcome), text)
    }
}

/// Waits for all tasks and joins their records.
async fn join_all(mut tasks: JoinSet<Vec<RequestRecord>>) -> Vec<RequestRecord> {
    let mut all = Vec::new();
    while let Some(result) = tasks.join_next().await {
        all.extend(joined(result));
    }
    all
}

/// The records of a task. A panic in it continues here.
fn joined(ended: Result<Vec<RequestRecord>, JoinError>) -> Vec<RequestRecord> {
    ended.unwrap_or_else(|error| resume_panic(error))
}

fn resume_panic(error: JoinError) -> ! {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Tasks are aborted only by dropping the set, which also drops this future.
        Err(error) => unreachable!("a task was aborted while it was awaited: {error}"),
    }
}
