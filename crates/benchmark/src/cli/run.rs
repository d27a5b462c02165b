//! `hostler bench run`.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::arguments::{RunArgs, ShapeName, TargetArgs};
use super::asked::{plan, settings, shape};
use super::progress::Progress;
use super::{Exit, Stop, json};
use crate::bench::{Contestant, Plan, Server, measure};
use crate::ceiling::http_ceiling;
use crate::report;
use crate::result::{self, BenchmarkResult, Kind, Latency, Metric, Percentile, Series};
use crate::shape::{Shape, Sweep, SweepPoint};
use crate::target::http::{HttpSettings, HttpTarget};

pub(super) async fn run(arguments: RunArgs, as_json: bool) -> Result<Exit, Stop> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let plan = plan(&arguments.load)?;
    let shape = shape(&arguments.load)?;
    let settings = settings(&arguments.target)?;
    let generator = http_ceiling(&settings[0], &shape, &plan).await.map_err(Stop::failed)?;
    let contestants = contestants(&arguments.target, settings, shape).await?;

    let mut sweep = (arguments.load.shape == ShapeName::Sweep).then(|| Sweep::new(arguments.load.concurrency));
    let series = match &mut sweep {
        Some(sweep) => run_sweep(&contestants[0], &plan, sweep).await?,
        None => measure(&contestants, &plan, &Progress::default()).await.map_err(Stop::failed)?,
    };
    let kind = match (&sweep, contestants.len()) {
        (Some(_), _) => Kind::Sweep,
        (None, 1) => Kind::Run,
        (None, _) => Kind::Versus,
    };
    let mut result = BenchmarkResult::new(kind, started, plan, series, generator);
    result.knee = sweep.and_then(|sweep| sweep.knee());
    result.generator.examine(&result.series);
    publish(arguments.output.as_deref(), as_json, &result)
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

/// Measures step after step.
async fn run_sweep(contestant: &Contestant, plan: &Plan, sweep: &mut Sweep) -> Result<Vec<Series>, Stop> {
    let mut all = Vec::new();
    while let Some(concurrency) = sweep.next_concurrency() {
        let step = Contestant {
            name: format!("{concurrency} in flight"),
            shape: Shape::Concurrent { concurrency },
            ..contestant.clone()
        };
        // At least two turns for each in flight: with fewer, a step would be all
        // beginning and end.
        let plan = Plan { requests: plan.requests.max(u64::from(concurrency) * 2), ..plan.clone() };
        let series = measure(&[step], &plan, &Progress::default()).await.map_err(Stop::failed)?;
        for series in series {
            let median = |metric| series.estimate(metric).map_or(0.0, |estimate| estimate.median);
            sweep.record(SweepPoint {
                concurrency,
                tokens_per_second: median(Metric::OutputTokensPerSecond),
                e2e_seconds: median(Metric::Time(Latency::E2e, Percentile::P50)),
            });
            all.push(series);
        }
    }
    Ok(all)
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
