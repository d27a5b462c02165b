//! Rounds of runs, interleaved between targets: A B C, A B C, …
//!
//! Slow changes of the machine (temperature, other processes) then affect all targets
//! alike, and ratios are taken within a round.

use std::sync::Arc;
use std::time::Duration;

use crate::drive::{RunLimits, drive};
use crate::measure::{Distributions, Failure, LiveCounters, ProcessUsage, RequestRecord, RunSummary, Window};
use crate::plan::Plan;
use crate::result::{Latency, Metric, Percentile, Series};
use crate::shape::{Shape, Sweep, SweepPoint};
use crate::target::{NamedTarget, ServerProcesses};
use crate::workload::Workload;

/// Observes the progress of a measurement.
pub trait RunObserver: Send + Sync {
    /// A run starts, or its warm-up, whose `requests` are not measured.
    fn run_started(&self, run: &RunInfo<'_>, live: &Arc<LiveCounters>);

    /// A run has ended.
    fn run_ended(&self, target: &str, summary: &RunSummary);
}

/// A run that starts.
#[derive(Clone, Copy, Debug)]
pub struct RunInfo<'a> {
    /// Name of the target.
    pub target: &'a str,
    /// The round, from 1.
    pub round: u32,
    /// Number of rounds.
    pub rounds: u32,
    /// Requests of this run.
    pub requests: u64,
    /// Whether this is the warm-up before the run.
    pub is_warm_up: bool,
}

/// Observes nothing.
impl RunObserver for () {
    fn run_started(&self, _: &RunInfo<'_>, _: &Arc<LiveCounters>) {}
    fn run_ended(&self, _: &str, _: &RunSummary) {}
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Every request failed.
    #[error("{target}: no request succeeded; the first failed with {failure}")]
    AllFailed {
        /// Name of the target.
        target: String,
        /// Failure of the first request.
        failure: Failure,
    },
    /// Warm-up and cool-down are longer than the run.
    #[error(
        "{target}: the time skipped at the start and the end is longer than the run; make the run longer or skip less"
    )]
    EmptyWindow {
        /// Name of the target.
        target: String,
    },
    /// The echo, which shows what the generator can do, cannot be measured.
    #[error("cannot measure the load generator's own ceiling: {0}")]
    Echo(String),
}

/// Measures all targets, round by round. Dropping the future cancels all requests.
///
/// # Errors
/// If a run has no successful request or an empty window.
pub async fn measure(
    targets: &[NamedTarget],
    plan: &Plan,
    observer: &dyn RunObserver,
) -> Result<Vec<Series>, MeasureError> {
    let mut runs: Vec<Vec<(RunSummary, Distributions)>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.repeats {
        for (salt, (target, runs)) in (0..).zip(targets.iter().zip(&mut runs)) {
            // Each target gets its own prompts: two targets may be one server with a prefix cache.
            let workload = Arc::new(plan.workload.reseeded(round).salted(salt));
            let run = run(target, plan, workload, round, observer).await?;
            observer.run_ended(&target.name, &run.0);
            runs.push(run);
        }
    }
    Ok(targets.iter().zip(runs).map(|(target, runs)| Series::of(target, runs)).collect())
}

/// Measures a target at increasing concurrency until `steps` ends the sweep.
///
/// # Errors
/// As [`measure`].
pub async fn sweep(
    target: &NamedTarget,
    plan: &Plan,
    steps: &mut Sweep,
    observer: &dyn RunObserver,
) -> Result<Vec<Series>, MeasureError> {
    let mut all = Vec::new();
    while let Some(concurrency) = steps.next_concurrency() {
        let step = NamedTarget {
            name: format!("{concurrency} in flight"),
            shape: Shape::Concurrent { concurrency },
            ..target.clone()
        };
        // At least two requests for each slot: with fewer, a step would be only ramp-up and
        // ramp-down.
        let plan = Plan { requests: plan.requests.max(u64::from(concurrency) * 2), ..plan.clone() };
        for series in measure(&[step], &plan, observer).await? {
            let median = |metric| series.estimate(metric).map_or(0.0, |estimate| estimate.median);
            steps.record(SweepPoint {
                concurrency,
                tokens_per_second: median(Metric::OutputTokensPerSecond),
                e2e_seconds: median(Metric::Time(Latency::E2e, Percentile::P50)),
            });
            all.push(series);
        }
    }
    Ok(all)
}

/// One run of one target: the warm-up, then the measured requests.
async fn run(
    target: &NamedTarget,
    plan: &Plan,
    workload: Arc<Workload>,
    round: u32,
    observer: &dyn RunObserver,
) -> Result<(RunSummary, Distributions), MeasureError> {
    let limits = RunLimits {
        first: 0,
        requests: plan.requests,
        time_max: plan.seconds_max.map(Duration::from_secs_f64),
        request_time_max: Duration::from_secs_f64(plan.request_seconds_max),
    };
    let start = |requests, is_warm_up| {
        let live = Arc::new(LiveCounters::default());
        let (round, rounds) = (round + 1, plan.repeats);
        observer.run_started(&RunInfo { target: &target.name, round, rounds, requests, is_warm_up }, &live);
        live
    };
    let (warm_up_shape, requests) = plan.warm_up(&target.shape);
    // The warm-up takes requests after the measured ones, so that it does not put the
    // measured prompts into a prefix cache.
    let warm_up = RunLimits { first: plan.requests, requests, ..limits };
    drive(&target.target, &workload, &warm_up_shape, warm_up, &start(requests, true)).await;

    let live = start(plan.requests, false);
    let before = ResourceUsage::now(&target.server);
    let records = drive(&target.target, &workload, &target.shape, limits, &live).await;
    let after = ResourceUsage::now(&target.server);
    let (mut summary, distributions) = summarise(target, plan, &records)?;
    ResourceUsage::add_to(&mut summary, &before, &after, &records);
    Ok((summary, distributions))
}

fn summarise(
    target: &NamedTarget,
    plan: &Plan,
    records: &[RequestRecord],
) -> Result<(RunSummary, Distributions), MeasureError> {
    let name = || target.name.clone();
    if let Some(failure) = records.first().and_then(|record| record.outcome.clone().err())
        && records.iter().all(RequestRecord::failed)
    {
        return Err(MeasureError::AllFailed { target: name(), failure });
    }
    let seconds = Duration::from_secs_f64;
    let window = Window::of(records, seconds(plan.head_seconds), seconds(plan.tail_seconds))
        .ok_or_else(|| MeasureError::EmptyWindow { target: name() })?;
    Ok(RunSummary::of(records, window, &plan.slo, target.shape.is_open()))
}

/// Resources that client and server have used so far.
struct ResourceUsage {
    client: Option<ProcessUsage>,
    server: Option<ProcessUsage>,
}

impl ResourceUsage {
    fn now(server: &ServerProcesses) -> Self {
        match server {
            ServerProcesses::Pids(pids) if pids.is_empty() => Self { client: ProcessUsage::current(), server: None },
            ServerProcesses::Pids(pids) => Self { client: ProcessUsage::current(), server: ProcessUsage::of_all(pids) },
            ServerProcesses::ThisProcess => Self { client: None, server: ProcessUsage::current() },
        }
    }

    /// Adds the usage between `before` and `after` to `summary`.
    fn add_to(summary: &mut RunSummary, before: &Self, after: &Self, records: &[RequestRecord]) {
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
