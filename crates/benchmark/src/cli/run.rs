//! `hostler bench run`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::arguments::{LoadArgs, RunArgs, ShapeName, TargetArgs};
use super::progress::Progress;
use super::{Exit, Stop, json};
use crate::bench::{Contestant, Plan, Server, measure};
use crate::ceiling::http_ceiling;
use crate::measure::Slo;
use crate::report;
use crate::result::{self, BenchmarkResult, Kind, Latency, Metric, Percentile, Series};
use crate::shape::{Shape, Sweep, SweepPoint};
use crate::target::http::{HttpSettings, HttpTarget};
use crate::workload::{Prompts, Workload};

pub(super) async fn run(arguments: RunArgs) -> Result<Exit, Stop> {
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
    publish(&arguments, &result)
}

/// Shows the result, or says why it does not count.
fn publish(arguments: &RunArgs, result: &BenchmarkResult) -> Result<Exit, Stop> {
    if !result.generator.objections.is_empty() {
        let objections = result.generator.objections.join("\n  ");
        return Err(Stop::failed(format!("the generator was the bottleneck, so there is no result:\n  {objections}")));
    }
    if let Some(path) = &arguments.output {
        result::write(path, result).map_err(Stop::failed)?;
    }
    if arguments.json {
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

/// How to ask the first server, and the second if there is one.
fn settings(arguments: &TargetArgs) -> Result<Vec<HttpSettings>, Stop> {
    let first = HttpSettings {
        base_url: arguments.url.clone(),
        api_key: arguments.api_key.clone(),
        model: arguments.model.clone(),
        endpoint: arguments.endpoint,
        stream: !arguments.no_stream,
        extra_body: object(arguments.extra_body.as_deref())?,
    };
    let Some(url) = &arguments.versus else { return Ok(vec![first]) };
    let second = HttpSettings {
        base_url: url.clone(),
        model: arguments.versus_model.clone(),
        extra_body: object(arguments.versus_extra_body.as_deref())?,
        ..first.clone()
    };
    Ok(vec![first, second])
}

fn object(text: Option<&str>) -> Result<Map<String, Value>, Stop> {
    let Some(text) = text else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| Stop::usage(format!("{text:?} is not a JSON object: {error}")))
}

fn shape(load: &LoadArgs) -> Result<Shape, Stop> {
    // Where a rate is needed, the parser has seen to it that there is one.
    let rate = load.rate.unwrap_or_default();
    let shape = match load.shape {
        ShapeName::Synchronous => Shape::Synchronous,
        ShapeName::Concurrent | ShapeName::Sweep => Shape::Concurrent { concurrency: load.concurrency },
        ShapeName::Constant => Shape::Constant { rate },
        ShapeName::Poisson => Shape::Poisson { rate },
        ShapeName::Ramp => Shape::Ramp {
            from_rate: load.from_rate.unwrap_or_default(),
            to_rate: rate,
            seconds: load.ramp_seconds.unwrap_or_default(),
        },
    };
    shape.validate().map_err(Stop::usage)?;
    Ok(shape)
}

fn plan(load: &LoadArgs) -> Result<Plan, Stop> {
    let prompts = match (&load.prompt_file, load.prompt_tokens, load.shared_prefix) {
        (Some(path), ..) => Prompts::from_file(path).map_err(Stop::usage)?,
        (None, Some(tokens), Some(prefix_tokens)) => {
            Prompts::SharedPrefix { prefix_tokens, groups: load.prefix_groups, tokens }
        }
        (None, Some(tokens), None) => Prompts::Synthetic { tokens },
        (None, None, _) => Prompts::Fixed { text: load.prompt.clone() },
    };
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1e3);
    let plan = Plan {
        workload: Workload {
            prompts,
            output_tokens: load.max_tokens,
            exact_length: !load.natural_end,
            temperature: load.temperature,
            seed: load.seed,
        },
        requests: load.requests,
        seconds_max: load.duration,
        request_seconds_max: load.timeout,
        warm_up_requests: load.warm_up,
        head_seconds: load.skip_head,
        tail_seconds: load.skip_tail,
        repeats: load.repeats,
        slo: Slo {
            ttft_seconds: seconds(load.slo_ttft_ms),
            tpot_seconds: seconds(load.slo_tpot_ms),
            e2e_seconds: seconds(load.slo_e2e_ms),
        },
    };
    plan.validate().map_err(Stop::usage)?;
    Ok(plan)
}
