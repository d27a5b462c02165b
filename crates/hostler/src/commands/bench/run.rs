//! `hostler bench run` and `hostler bench ladder`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use hostler_benchmark::{Order, Profile};
use hostler_loadgen::ceiling::http_ceiling;
use hostler_loadgen::result::{self, BenchmarkResult, Kind};
use hostler_loadgen::rounds::{measure, sweep};
use hostler_loadgen::shape::{Shape, Sweep};
use hostler_loadgen::target::http::{Endpoint, HttpSettings, HttpTarget};
use hostler_loadgen::target::{EnergyMeter, NamedTarget, ServerProcesses};
use hostler_util::unix_time;
use serde::Serialize;

use super::arguments::{ClaimArgs, LadderArgs, RunArgs, ShapeName, TargetArgs};
use super::order::{order, settings};
use super::progress::TerminalProgress;
use super::remote;
use crate::failure::Usage;
use crate::gpu::GpuEnergy;

pub(super) async fn run(arguments: RunArgs, as_json: bool, commit: Option<&str>) -> anyhow::Result<ExitCode> {
    if arguments.claim {
        return run_by_claim(arguments, as_json).await;
    }
    if arguments.claim_terms != ClaimArgs::default() {
        bail!(Usage("--scheduler, --drain, --min-serving and --force need --claim".to_owned()));
    }
    let started = unix_time().as_secs();
    let order = order(&arguments.load, &arguments.claim_terms, Profile::Run)?;
    let plan = order.plan().map_err(|error| Usage(error.to_string()))?;
    let settings = settings(&arguments.target)?;
    let generator = http_ceiling(&settings[0], &order.shape, &plan).await?;
    let targets = connect(&arguments.target, settings, order.shape).await?;

    let progress = TerminalProgress::default();
    let mut steps = (arguments.load.shape == ShapeName::Sweep).then(|| Sweep::new(arguments.load.concurrency));
    let series = match &mut steps {
        Some(steps) => sweep(&targets[0], &plan, steps, &progress).await?,
        None => measure(&targets, &plan, &progress).await?,
    };
    let kind = match (&steps, targets.len()) {
        (Some(_), _) => Kind::Sweep,
        (None, 1) => Kind::Run,
        (None, _) => Kind::Versus,
    };
    let mut result = BenchmarkResult::new(kind, started, plan, series, generator);
    result.knee = steps.and_then(|steps| steps.knee());
    result.commit = commit.map(str::to_owned);
    result.generator.check(&result.series);
    publish(arguments.output.as_deref(), as_json, &result)
}

/// Runs on a claimed scheduler, by the server itself.
async fn run_by_claim(arguments: RunArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let RunArgs { target, claim_terms, load, layer, output, .. } = arguments;
    let order = Order {
        model: target.model.as_deref().map(Into::into),
        layers: layer.into_iter().collect(),
        chat: Some(target.endpoint == Endpoint::Chat),
        ..order(&load, &claim_terms, Profile::Run)?
    };
    let result = remote::run(&target.url, target.api_key.as_deref(), order).await?;
    publish(output.as_deref(), as_json, &result)
}

/// Runs a ladder on a scheduler of `model` (the only model, if `None`), by the server at `url`.
pub(super) async fn ladder(
    arguments: LadderArgs,
    url: &str,
    model: Option<&str>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let LadderArgs { api_key, layers, claim, load, output, .. } = arguments;
    let order = Order { model: model.map(Into::into), layers, ..order(&load, &claim, Profile::Ladder)? };
    let result = remote::run(url, api_key.as_deref(), order).await?;
    publish(output.as_deref(), as_json, &result)
}

/// Prints and writes the result, or fails if it is invalid.
fn publish(output: Option<&Path>, as_json: bool, result: &BenchmarkResult) -> anyhow::Result<ExitCode> {
    if !result.generator.objections.is_empty() {
        let objections = result.generator.objections.join("\n  ");
        bail!("the load generator was the bottleneck, so there is no result:\n  {objections}");
    }
    if let Some(path) = output {
        result::write(path, result)?;
    }
    if as_json {
        print_json(result)?;
    } else {
        print!("{}", hostler_report::markdown(result));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Connects to the servers.
async fn connect(
    arguments: &TargetArgs,
    settings: Vec<HttpSettings>,
    shape: Shape,
) -> anyhow::Result<Vec<NamedTarget>> {
    let names = if settings.len() == 1 { vec!["server"] } else { vec!["A", "B"] };
    let pids = [arguments.server_pid.clone(), arguments.versus_pid.clone()];
    let gpus = [&arguments.gpu, &arguments.versus_gpu];
    let mut targets = Vec::new();
    for (((name, settings), pids), gpus) in names.into_iter().zip(settings).zip(pids).zip(gpus) {
        let energy = energy_of(gpus)?;
        let target = Arc::new(HttpTarget::connect(settings).await?);
        targets.push(NamedTarget { name: name.to_owned(), target, shape, server: ServerProcesses::Pids(pids), energy });
    }
    Ok(targets)
}

/// The meter of the energy of the named GPUs, if any is named.
fn energy_of(gpus: &[String]) -> anyhow::Result<Option<Arc<dyn EnergyMeter>>> {
    if gpus.is_empty() {
        return Ok(None);
    }
    let meter = GpuEnergy::open(gpus.to_vec()).context("--gpu")?;
    Ok(Some(Arc::new(meter)))
}
