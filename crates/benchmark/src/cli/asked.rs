//! From what was written on the command line to what is done, checked.

use serde_json::{Map, Value};

use super::Stop;
use super::arguments::{LoadArgs, ShapeName, TargetArgs};
use crate::bench::Plan;
use crate::measure::Slo;
use crate::shape::Shape;
use crate::target::http::HttpSettings;
use crate::workload::{Prompts, Workload};

/// How to ask the first server, and the second if there is one.
pub(super) fn settings(arguments: &TargetArgs) -> Result<Vec<HttpSettings>, Stop> {
    let first = HttpSettings {
        base_url: arguments.url.clone(),
        api_key: arguments.api_key.clone(),
        model: arguments.model.clone(),
        endpoint: arguments.endpoint,
        stream: !arguments.no_stream,
        extra_body: object(arguments.extra_body.as_deref())?,
        claim: None,
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

/// In what load.
pub(super) fn shape(load: &LoadArgs) -> Result<Shape, Stop> {
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

/// What is done.
pub(super) fn plan(load: &LoadArgs) -> Result<Plan, Stop> {
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
            leaving: None,
            salt: 0,
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
