//! Builds an order from the command line's arguments.

use hostler_benchmark::{ClaimTerms, Order, Profile};
use hostler_loadgen::measure::Slo;
use hostler_loadgen::shape::Shape;
use hostler_loadgen::target::http::HttpSettings;
use hostler_loadgen::workload::{EarlyDisconnect, Prompts};
use serde_json::{Map, Value};

use super::arguments::{ClaimArgs, LoadArgs, ShapeName, TargetArgs};
use crate::failure::Usage;

/// The order for these arguments. Its prompts may come from files: see
/// [`Order::with_inline_files`].
pub(super) fn order(load: &LoadArgs, claim: &ClaimArgs, profile: Profile) -> Result<Order, Usage> {
    let defaults = Order::default();
    let min_serving = claim.min_serving.unwrap_or(defaults.claim.min_serving);
    let leaving = EarlyDisconnect { share: load.leave_percent / 100.0, after_tokens: load.leave_after };
    let order = Order {
        profile: if load.shape == ShapeName::Sweep { Profile::Sweep } else { profile },
        scheduler: claim.scheduler.as_deref().map(Into::into),
        claim: ClaimTerms { drain: claim.drain, min_serving, force: claim.force, ..defaults.claim },
        shape: shape(load),
        requests: load.requests,
        max_tokens: load.max_tokens,
        exact_length: !load.natural_end,
        temperature: load.temperature,
        seed: load.seed,
        leaving: (load.leave_percent != 0.0).then_some(leaving),
        repeats: load.repeats,
        until_percent: load.until,
        until_seconds_max: load.until_seconds,
        warm_up_requests: load.warm_up,
        seconds_max: load.duration,
        request_seconds_max: load.timeout,
        head_seconds: load.skip_head,
        tail_seconds: load.skip_tail,
        slo: slo(load),
        ..defaults
    };
    Ok(match prompts(load)? {
        Some(prompts) => Order { prompts: Some(prompts), ..order },
        None => Order { prompt: Some(load.prompt.clone()), ..order },
    })
}

fn shape(load: &LoadArgs) -> Shape {
    // The parser requires a rate for the shapes that use one.
    let rate = load.rate.unwrap_or_default();
    match load.shape {
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
    }
}

/// Prompts other than the fixed one.
fn prompts(load: &LoadArgs) -> Result<Option<Prompts>, Usage> {
    let invalid = |error: hostler_loadgen::workload::PromptFileError| Usage(error.to_string());
    if let Some(path) = &load.trace {
        return Prompts::from_trace(path).map(Some).map_err(invalid);
    }
    Ok(match (&load.prompt_file, load.prompt_tokens, load.shared_prefix, load.turns) {
        (Some(path), ..) => Some(Prompts::from_file(path).map_err(invalid)?),
        (None, Some(tokens), _, Some(turns)) => Some(Prompts::Conversation { turns, tokens }),
        (None, Some(tokens), Some(prefix_tokens), None) => {
            Some(Prompts::SharedPrefix { prefix_tokens, groups: load.prefix_groups, tokens })
        }
        (None, Some(tokens), None, None) => Some(Prompts::Synthetic { tokens }),
        (None, None, ..) => None,
    })
}

fn slo(load: &LoadArgs) -> Slo {
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1e3);
    Slo {
        ttft_seconds: seconds(load.slo_ttft_ms),
        tpot_seconds: seconds(load.slo_tpot_ms),
        e2e_seconds: seconds(load.slo_e2e_ms),
    }
}

/// Request settings for the first server, and for the second if there is one.
pub(super) fn settings(arguments: &TargetArgs) -> Result<Vec<HttpSettings>, Usage> {
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

fn object(text: Option<&str>) -> Result<Map<String, Value>, Usage> {
    let Some(text) = text else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| Usage(format!("{text:?} is not a JSON object: {error}")))
}
