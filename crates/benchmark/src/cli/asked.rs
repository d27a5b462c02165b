//! From what was written on the command line to what is done, checked.

use hostler_protocol::ClaimDrain;
use serde_json::{Map, Value};

use super::Stop;
use super::arguments::{ClaimArgs, DrainName, LoadArgs, ShapeName, TargetArgs};
use crate::bench::Plan;
use crate::measure::Slo;
use crate::service::{ClaimTerms, Order, Profile};
use crate::shape::Shape;
use crate::target::http::HttpSettings;
use crate::workload::{Leaving, Prompts, Workload};

/// Requests of a run, where neither the command line nor a trace says.
const REQUESTS_DEFAULT: u64 = 40;

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
        ShapeName::Replay => Shape::Replay { speed: load.speed },
        ShapeName::Ramp => Shape::Ramp {
            from_rate: load.from_rate.unwrap_or_default(),
            to_rate: rate,
            seconds: load.ramp_seconds.unwrap_or_default(),
        },
    };
    shape.validate().map_err(Stop::usage)?;
    Ok(shape)
}

fn prompts(load: &LoadArgs) -> Result<Prompts, Stop> {
    if let Some(path) = &load.trace {
        return Prompts::from_trace(path).map_err(Stop::usage);
    }
    Ok(match (&load.prompt_file, load.prompt_tokens, load.shared_prefix, load.turns) {
        (Some(path), ..) => Prompts::from_file(path).map_err(Stop::usage)?,
        (None, Some(tokens), _, Some(turns)) => Prompts::Conversation { turns, tokens },
        (None, Some(tokens), Some(prefix_tokens), None) => {
            Prompts::SharedPrefix { prefix_tokens, groups: load.prefix_groups, tokens }
        }
        (None, Some(tokens), None, None) => Prompts::Synthetic { tokens },
        (None, None, ..) => Prompts::Fixed { text: load.prompt.clone() },
    })
}

fn leaving(load: &LoadArgs) -> Option<Leaving> {
    let leaving = Leaving { share: load.leave_percent / 100.0, after_tokens: load.leave_after };
    (load.leave_percent != 0.0).then_some(leaving)
}

fn slo(load: &LoadArgs) -> Slo {
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1e3);
    Slo {
        ttft_seconds: seconds(load.slo_ttft_ms),
        tpot_seconds: seconds(load.slo_tpot_ms),
        e2e_seconds: seconds(load.slo_e2e_ms),
    }
}

/// What is done.
pub(super) fn plan(load: &LoadArgs) -> Result<Plan, Stop> {
    let prompts = prompts(load)?;
    let rows = match &prompts {
        Prompts::Trace(trace) => Some(trace.rows.len() as u64),
        _ => None,
    };
    let plan = Plan {
        workload: Workload {
            prompts,
            output_tokens: load.max_tokens,
            exact_length: !load.natural_end,
            temperature: load.temperature,
            seed: load.seed,
            leaving: leaving(load),
            salt: 0,
        },
        requests: load.requests.or(rows).unwrap_or(REQUESTS_DEFAULT),
        seconds_max: load.duration,
        request_seconds_max: load.timeout,
        warm_up_requests: load.warm_up,
        head_seconds: load.skip_head,
        tail_seconds: load.skip_tail,
        repeats: load.repeats.unwrap_or(1),
        slo: slo(load),
    };
    plan.validate().map_err(Stop::usage)?;
    Ok(plan)
}

/// The same, as an order to a Hostler.
pub(super) fn order(load: &LoadArgs, terms: &ClaimArgs, profile: Profile) -> Result<Order, Stop> {
    let defaults = Order::default();
    let mut order = Order {
        profile: if load.shape == ShapeName::Sweep { Profile::Sweep } else { profile },
        scheduler: terms.scheduler.as_deref().map(Into::into),
        claim: claim(terms),
        shape: shape(load)?,
        requests: load.requests,
        max_tokens: load.max_tokens,
        exact_length: !load.natural_end,
        temperature: load.temperature,
        seed: load.seed,
        leaving: leaving(load),
        repeats: load.repeats,
        warm_up_requests: load.warm_up,
        seconds_max: load.duration,
        request_seconds_max: load.timeout,
        head_seconds: load.skip_head,
        tail_seconds: load.skip_tail,
        slo: slo(load),
        ..defaults
    };
    // Files are on this side: their contents are sent.
    match prompts(load)? {
        Prompts::Fixed { text } => order.prompt = Some(text),
        Prompts::File { lines, .. } => order.lines = lines,
        Prompts::Trace(trace) => order.trace = trace.rows.to_vec(),
        prompts => order.prompts = Some(prompts),
    }
    order.plan().map_err(Stop::usage)?;
    Ok(order)
}

fn claim(terms: &ClaimArgs) -> ClaimTerms {
    let defaults = ClaimTerms::default();
    ClaimTerms {
        drain: match terms.drain {
            DrainName::Wait => ClaimDrain::Wait,
            DrainName::Evict => ClaimDrain::Evict,
            DrainName::Fail => ClaimDrain::Fail,
        },
        min_serving: terms.min_serving.unwrap_or(defaults.min_serving),
        force: terms.force,
        ..defaults
    }
}
