//! Rounds of runs, interleaved between contestants: A B C, A B C, …
//!
//! What changes slowly (a machine that warms up, a neighbour that comes and
//! goes) then falls on all of them alike, and ratios are taken within a round.

mod plan;
mod sweep;

pub use plan::{Plan, PlanError};
pub use sweep::sweep;

use std::sync::Arc;
use std::time::Duration;

use crate::drive::{Extent, drive};
use crate::measure::{Distributions, Failure, Live, ProcessUsage, RequestRecord, RunSummary, Window};
use crate::result::Series;
use crate::shape::Shape;
use crate::target::Target;
use crate::workload::Workload;

/// One of those that are measured.
#[derive(Clone)]
pub struct Contestant {
    /// Its name in results.
    pub name: String,
    /// What is asked.
    pub target: Arc<dyn Target>,
    /// In what load.
    pub shape: Shape,
    /// Where it runs.
    pub server: Server,
}

/// Whose CPU time and memory is the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// These processes on this machine; none if it runs elsewhere.
    Processes(Vec<u32>),
    /// This very process, so that its use cannot be told from the generator's.
    ThisProcess,
}

/// Hears how a benchmark goes.
pub trait Observer: Send + Sync {
    /// The warm-up of a run begins: so many requests, which count for nothing.
    fn warm_up_started(&self, _contestant: &str, _round: u32, _rounds: u32, _requests: u64, _live: &Arc<Live>) {}

    /// A run begins: `round` of `rounds`, from 1. `live` counts along.
    fn run_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>);

    /// It has ended.
    fn run_ended(&self, contestant: &str, summary: &RunSummary);
}

/// Nobody listens.
impl Observer for () {
    fn run_started(&self, _: &str, _: u32, _: u32, _: u64, _: &Arc<Live>) {}
    fn run_ended(&self, _: &str, _: &RunSummary) {}
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Not one request brought an answer.
    #[error("{contestant}: no request succeeded; the first failed with {failure}")]
    AllFailed {
        /// Who was asked.
        contestant: String,
        /// What the first request met.
        failure: Failure,
    },
    /// Warm-up and cool-down are longer than the run.
    #[error("{contestant}: nothing is left of the run without warm-up and cool-down; make it longer, or them shorter")]
    NothingLeft {
        /// Who was asked.
        contestant: String,
    },
    /// The echo, which shows what the generator can do, does not run.
    #[error("the generator's own ceiling cannot be measured: {0}")]
    Echo(String),
}

/// Measures all contestants, round by round. Dropping the future cancels
/// everything that is under way.
///
/// # Errors
/// When a run brought nothing that could be reported.
pub async fn measure(
    contestants: &[Contestant],
    plan: &Plan,
    observer: &dyn Observer,
) -> Result<Vec<Series>, BenchError> {
    let mut runs: Vec<Vec<(RunSummary, Distributions)>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.repeats {
        for (salt, (contestant, runs)) in (0..).zip(contestants.iter().zip(&mut runs)) {
            // Prompts of its own: two contestants may be one server with a cache.
            let workload = Arc::new(plan.workload.reseeded(round).salted(salt));
            let run = run(contestant, plan, workload, round, observer).await?;
            observer.run_ended(&contestant.name, &run.0);
            runs.push(run);
        }
    }
    Ok(contestants.iter().zip(runs).map(|(contestant, runs)| Series::of(contestant, runs)).collect())
}

/// One run of one contestant: warm-up, then the measured requests.
async fn run(
    contestant: &Contestant,
    plan: &Plan,
    workload: Arc<Workload>,
    round: u32,
    observer: &dyn Observer,
) -> Result<(RunSummary, Distributions), BenchError> {
    let extent = Extent {
        first: 0,
        requests: plan.requests,
        time_max: plan.seconds_max.map(Duration::from_secs_f64),
        request_time_max: Duration::from_secs_f64(plan.request_seconds_max),
    };
    let (warm_up_shape, warm_up_requests) = plan.warm_up(&contestant.shape);
    // Other requests than the measured ones: a prefix cache must not know these.
    let warm_up = Extent { first: plan.requests, requests: warm_up_requests, ..extent };
    let warming = Arc::new(Live::default());
    observer.warm_up_started(&contestant.name, round + 1, plan.repeats, warm_up_requests, &warming);
    drive(&contestant.target, &workload, &warm_up_shape, warm_up, &warming).await;

    let live = Arc::new(Live::default());
    observer.run_started(&contestant.name, round + 1, plan.repeats, plan.requests, &live);
    let before = Usage::now(&contestant.server);
    let records = drive(&contestant.target, &workload, &contestant.shape, extent, &live).await;
    let after = Usage::now(&contestant.server);
    let (mut summary, distributions) = summarise(contestant, plan, &records)?;
    Usage::note(&before, &after, &records, &mut summary);
    Ok((summary, distributions))
}

fn summarise(
    contestant: &Contestant,
    plan: &Plan,
    records: &[RequestRecord],
) -> Result<(RunSummary, Distributions), BenchError> {
    let name = || contestant.name.clone();
    if let Some(failure) = records.first().and_then(|record| record.outcome.clone().err())
        && records.iter().all(RequestRecord::failed)
    {
        return Err(BenchError::AllFailed { contestant: name(), failure });
    }
    let trim = Duration::from_secs_f64;
    let window = Window::of(records, trim(plan.head_seconds), trim(plan.tail_seconds))
        .ok_or_else(|| BenchError::NothingLeft { contestant: name() })?;
    Ok(RunSummary::of(records, window, &plan.slo, contestant.shape.is_open()))
}

/// What both sides have used so far.
struct Usage {
    client: Option<ProcessUsage>,
    server: Option<ProcessUsage>,
}

impl Usage {
    fn now(server: &Server) -> Self {
        match server {
            Server::Processes(pids) if pids.is_empty() => Self { client: ProcessUsage::of_this(), server: None },
            Server::Processes(pids) => Self { client: ProcessUsage::of_this(), server: ProcessUsage::of_all(pids) },
            Server::ThisProcess => Self { client: None, server: ProcessUsage::of_this() },
        }
    }

    fn note(before: &Self, after: &Self, records: &[RequestRecord], summary: &mut RunSummary) {
        let cpu =
            |before: Option<ProcessUsage>, after: Option<ProcessUsage>| Some(after?.cpu_seconds - before?.cpu_seconds);
        let per_1000 = |seconds: f64| (summary.output_tokens > 0).then(|| seconds * 1e3 / summary.output_tokens as f64);
        let elapsed = records.iter().map(|record| record.ended.as_secs_f64()).fold(0.0, f64::max);
        let client = cpu(before.client, after.client);
        summary.client_cpu_share = client.filter(|_| elapsed > 0.0).map(|seconds| seconds / elapsed);
        summary.client_cpu_seconds_per_1000_tokens = client.and_then(per_1000);
        summary.server_cpu_seconds_per_1000_tokens = cpu(before.server, after.server).and_then(per_1000);
        summary.client_resident_bytes = after.client.map(|usage| usage.resident_bytes);
        summary.server_resident_bytes = after.server.map(|usage| usage.resident_bytes);
    }
}
