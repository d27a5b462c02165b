//! Rounds of runs, interleaved between targets: A B C, B C A, …
//!
//! Slow changes of the machine (temperature, other processes) then affect all targets
//! alike, and ratios are taken within a round. The order of a round is random: what a run leaves
//! behind (a warm cache, a hot processor) must not always benefit the same target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::drive::{OPEN_LOOP_IN_FLIGHT_MAX, RunLimits, drive};
use crate::measure::{Distributions, Estimate, Failure, LiveCounters, ProcessUsage, RequestRecord, RunSummary, Window};
use crate::plan::{Plan, REPEATS_MAX};
use crate::result::{Latency, Metric, Percentile, Series};
use crate::shape::{Shape, Sweep, SweepPoint};
use crate::target::{EnergyMeter, NamedTarget, ServerProcesses};
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
    /// Number of rounds; the least, if their number depends on the measurement.
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
    let started = Instant::now();
    let mut round = 0;
    while needs_round(plan, round, started.elapsed(), || precision(&runs)) {
        for (salt, index) in (0..).zip(order_of_round(targets.len(), plan.workload.seed, round)) {
            let target = &targets[index];
            // Each target gets its own prompts: two targets may be one server with a prefix cache.
            let workload = Arc::new(plan.workload.reseeded(round).salted(salt));
            let run = run(target, plan, workload, round, observer).await?;
            observer.run_ended(&target.name, &run.0);
            runs[index].push(run);
        }
        round += 1;
    }
    Ok(targets.iter().zip(runs).map(|(target, runs)| Series::of(target, runs)).collect())
}

/// Whether to measure another round after `rounds` of them. `precision` is that of all of them.
fn needs_round(plan: &Plan, rounds: u32, elapsed: Duration, precision: impl FnOnce() -> f64) -> bool {
    if rounds < plan.repeats {
        return true;
    }
    plan.until.is_some_and(|until| {
        // A precision that is NaN, because nothing was generated, is never reached.
        let reached = || precision() <= until.precision;
        rounds < REPEATS_MAX && elapsed.as_secs_f64() < until.seconds_max && !reached()
    })
}

/// The targets of a round, in random order.
fn order_of_round(targets: usize, seed: u64, round: u32) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(round.into());
    let mut order: Vec<usize> = (0..targets).collect();
    order.shuffle(&mut random);
    order
}

/// The worst precision of the ratios between each target and the first and the one before; of
/// the throughput, if there is only one target.
fn precision(runs: &[Vec<(RunSummary, Distributions)>]) -> f64 {
    let rates: Vec<Vec<f64>> =
        runs.iter().map(|runs| runs.iter().map(|(run, _)| run.output_tokens_per_second).collect()).collect();
    let ratios = |of: usize, to: usize| rates[of].iter().zip(&rates[to]).map(|(of, to)| of / to).collect();
    let compared: Vec<Vec<f64>> = match rates.len() {
        1 => rates,
        count => (1..count).flat_map(|rung| [ratios(rung, rung - 1), ratios(rung, 0)]).collect(),
    };
    let precisions = compared.into_iter().map(|values| Estimate::of(values).map_or(f64::NAN, |one| one.precision()));
    precisions.fold(0.0, |worst, one| if one <= worst { worst } else { one })
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
        in_flight_max: OPEN_LOOP_IN_FLIGHT_MAX,
    };
    let start = |requests, is_warm_up| {
        let live = Arc::new(LiveCounters::default());
        let (round, rounds) = (round + 1, plan.repeats.max(round + 1));
        observer.run_started(&RunInfo { target: &target.name, round, rounds, requests, is_warm_up }, &live);
        live
    };
    let (warm_up_shape, requests) = plan.warm_up(&target.shape);
    // The warm-up takes requests after the measured ones, so that it does not put the
    // measured prompts into a prefix cache.
    let warm_up = RunLimits { first: plan.requests, requests, ..limits };
    drive(&target.target, &workload, &warm_up_shape, warm_up, &start(requests, true)).await;

    let live = start(plan.requests, false);
    let before = ResourceUsage::now(target);
    let records = drive(&target.target, &workload, &target.shape, limits, &live).await;
    let after = ResourceUsage::now(target);
    let (mut summary, distributions) = summarise(target, plan, &records)?;
    summary.unsent = live.unsent();
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
    joules: Option<f64>,
}

impl ResourceUsage {
    fn now(target: &NamedTarget) -> Self {
        let joules = target.energy.as_deref().and_then(EnergyMeter::joules);
        let (client, server) = match &target.server {
            ServerProcesses::Pids(pids) if pids.is_empty() => (ProcessUsage::current(), None),
            ServerProcesses::Pids(pids) => (ProcessUsage::current(), ProcessUsage::of_all(pids)),
            ServerProcesses::ThisProcess => (None, ProcessUsage::current()),
        };
        Self { client, server, joules }
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
        let joules = after.joules.zip(before.joules).map(|(after, before)| after - before);
        summary.energy_joules = joules;
        summary.output_tokens_per_joule =
            joules.filter(|joules| *joules > 0.0).map(|joules| summary.output_tokens as f64 / joules);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Answer, Slo};
    use crate::plan::Until;
    use crate::workload::{Length, Prompts};

    fn plan(until: Option<Until>) -> Plan {
        Plan {
            workload: Workload {
                prompts: Prompts::Fixed { text: "x".to_owned() },
                output_tokens: Length::constant(1),
                exact_length: true,
                temperature: 0.0,
                seed: 0,
                leaving: None,
                salt: 0,
            },
            requests: 1,
            seconds_max: None,
            request_seconds_max: 1.0,
            warm_up_requests: None,
            head_seconds: 0.0,
            tail_seconds: 0.0,
            repeats: 3,
            until,
            slo: Slo::default(),
        }
    }

    #[test]
    fn rounds_continue_until_they_are_precise_or_the_time_is_over() {
        let second = Duration::from_secs(1);
        assert!(needs_round(&plan(None), 2, second, || 0.0));
        assert!(!needs_round(&plan(None), 3, second, || 1.0));
        let until = plan(Some(Until { precision: 0.01, seconds_max: 60.0 }));
        assert!(needs_round(&until, 2, second * 90, || 0.0), "the least");
        assert!(needs_round(&until, 3, second, || 0.02) && needs_round(&until, 3, second, || f64::NAN));
        assert!(!needs_round(&until, 3, second, || 0.01), "precise enough");
        assert!(!needs_round(&until, 3, second * 60, || 0.02), "no time left");
        assert!(!needs_round(&until, REPEATS_MAX, second, || 0.02));
    }

    #[test]
    fn every_target_is_at_every_place_in_some_round() {
        let orders: Vec<Vec<usize>> = (0..50).map(|round| order_of_round(4, 7, round)).collect();
        for place in 0..4 {
            assert!((0..4).all(|target| orders.iter().any(|order| order[place] == target)));
        }
        assert!(orders.iter().all(|order| (0..4).all(|target| order.contains(&target))));
        assert_eq!(orders[5], order_of_round(4, 7, 5), "the seed repeats it");
    }

    /// Rounds in which a request of this many tokens took a second.
    fn runs(tokens: &[u32]) -> Vec<(RunSummary, Distributions)> {
        let run = |&tokens: &u32| {
            let record = RequestRecord {
                index: 0,
                tokens_requested: tokens,
                due: Duration::ZERO,
                sent: Duration::ZERO,
                in_flight: 1,
                token_times: Vec::new(),
                ended: Duration::from_secs(1),
                outcome: Ok(Answer { prompt_tokens: None, output_tokens: tokens, counted_by_server: true }),
            };
            let window = Window { from: Duration::ZERO, to: Duration::from_secs(1) };
            RunSummary::of(&[record], window, &Slo::default(), false)
        };
        tokens.iter().map(run).collect()
    }

    #[test]
    fn the_precision_is_that_of_the_worst_ratio() {
        let (a, b) = (runs(&[100, 200, 400]), runs(&[50, 100, 200]));
        assert!(precision(&[a.clone(), b.clone()]) < 1e-9, "the ratio is always a half");
        let c = runs(&[50, 80, 200]);
        // Ratios 0.5, 0.4, 0.5 to the first, 1, 0.8, 1 to the one before.
        let worst = precision(&[a.clone(), b, c]);
        assert!((worst - 0.1).abs() < 1e-9, "{worst}");
        assert!((precision(&[a]) - 0.75).abs() < 1e-9, "150 of 200 tokens/s");
        assert!(precision(&[runs(&[0, 0]), runs(&[0, 0])]).is_nan());
    }
}
