//! `hostler bench run`.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::arguments::{ClaimArgs, LadderArgs, RunArgs, ShapeName, TargetArgs};
use super::asked::{order, plan, settings, shape};
use super::progress::Progress;
use super::{Exit, Stop, json, remote};
use crate::bench::{Contestant, Server, measure, sweep};
use crate::ceiling::http_ceiling;
use crate::report;
use crate::result::{self, BenchmarkResult, Kind};
use crate::service::{Order, Profile};
use crate::shape::{Shape, Sweep};
use crate::target::http::{Endpoint, HttpSettings, HttpTarget};

pub(super) async fn run(arguments: RunArgs, as_json: bool, commit: Option<&str>) -> Result<Exit, Stop> {
    if arguments.claim {
        return by_claim(arguments, as_json).await;
    }
    if arguments.terms != ClaimArgs::default() {
        return Err(Stop::usage("--scheduler, --drain, --min-serving and --force say how to claim: they need --claim"));
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let plan = plan(&arguments.load)?;
    let shape = shape(&arguments.load)?;
    let settings = settings(&arguments.target)?;
    let generator = http_ceiling(&settings[0], &shape, &plan).await.map_err(Stop::failed)?;
    let contestants = contestants(&arguments.target, settings, shape).await?;

    let mut steps = (arguments.load.shape == ShapeName::Sweep).then(|| Sweep::new(arguments.load.concurrency));
    let series = match &mut steps {
        Some(steps) => sweep(&contestants[0], &plan, steps, &Progress::default()).await.map_err(Stop::failed)?,
        None => measure(&contestants, &plan, &Progress::default()).await.map_err(Stop::failed)?,
    };
    let kind = match (&steps, contestants.len()) {
        (Some(_), _) => Kind::Sweep,
        (None, 1) => Kind::Run,
        (None, _) => Kind::Versus,
    };
    let mut result = BenchmarkResult::new(kind, started, plan, series, generator);
    result.knee = steps.and_then(|steps| steps.knee());
    result.commit = commit.map(str::to_owned);
    result.generator.examine(&result.series);
    publish(arguments.output.as_deref(), as_json, &result)
}

/// Has the Hostler at the URL do it.
async fn by_claim(arguments: RunArgs, as_json: bool) -> Result<Exit, Stop> {
    let RunArgs { target, terms, load, layer, output, .. } = arguments;
    let order = Order {
        model: target.model.as_deref().map(Into::into),
        layers: layer.into_iter().collect(),
        chat: Some(target.endpoint == Endpoint::Chat),
        ..order(&load, &terms, Profile::Run)?
    };
    let result = remote::carry_out(&target.url, target.api_key, &order).await?;
    publish(output.as_deref(), as_json, &result)
}

/// `hostler bench ladder`, by the Hostler at `url`.
pub(super) async fn ladder(arguments: LadderArgs, url: &str, model: Option<&str>, as_json: bool) -> Result<Exit, Stop> {
    let LadderArgs { api_key, layers, terms, load, output, .. } = arguments;
    let order = Order { model: model.map(Into::into), layers, ..order(&load, &terms, Profile::Ladder)? };
    let result = remote::carry_out(url, api_key, &order).await?;
    publish(output.as_deref(), as_json, &result)
}

/// Shows the result, or says why it does not count.
fn publish(output: Option<&Path>, as_json: bool, result: &BenchmarkResult) -> Result<Exit, Stop> {
    if !result.generator.objections.is_empty() {
        let objections = result.generator.objections.join("\n  ");
        return Err(Stop::failed(format!("the generator was the bottleneck, so there is no result:\n  {objections}")));
    }
    if let Some(path) = output {
        result::write(path, result).map_err(Stop::failed)?;
    }
    if as_json {
        println!("{}", json(result)?);
    } else {
        print!("{}", report::markdown(result));
    }
    Ok(Exit::Success)
}

async fn contestants(
    arguments: &TargetArgs,
    settings: Vec<HttpSettings>,
    shape: Shape,
) -> Result<Vec<Contestant>, Stop> {
    let names = if settings.len() == 1 { vec!["server"] } else { vec!["A", "B"] };
    let pids = [arguments.server_pid.clone(), arguments.versus_pid.clone()];
    let mut all = Vec::new();
    for ((name, settings), pids) in names.into_iter().zip(settings).zip(pids) {
        all.push(contestant(name, settings, &shape, pids).await?);
    }
    Ok(all)
}

async fn contestant(name: &str, settings: HttpSettings, shape: &Shape, pids: Vec<u32>) -> Result<Contestant, Stop> {
    let target = HttpTarget::connect(settings).await.map_err(Stop::failed)?;
    Ok(Contestant { name: name.to_owned(), target: Arc::new(target), shape: *shape, server: Server::Processes(pids) })
}
