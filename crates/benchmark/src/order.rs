//! Orders: the body of `POST /v1/benchmarks`, and what `hostler bench` builds from its
//! arguments. [`Order::plan`] is the only way from an order to a [`Plan`], and the defaults
//! here are the only ones.

use hostler_loadgen::measure::Slo;
use hostler_loadgen::plan::{Plan, Until};
use hostler_loadgen::shape::Shape;
use hostler_loadgen::workload::{EarlyDisconnect, Length, Prompts, Trace, TraceRow, Workload, sha256};
use hostler_protocol::{ClaimDrain, ModelId, SchedulerId};
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

use super::layer::Layer;

/// Requests of a run, unless a trace defines them. With the next two, this is the workload of
/// the system that Hostler succeeds: 40 requests, 8 at a time, 50 tokens each.
pub const DEFAULT_REQUESTS: u64 = 40;

/// Requests in flight.
pub const DEFAULT_CONCURRENCY: u32 = 8;

/// Tokens of each answer.
pub(crate) const DEFAULT_MAX_TOKENS: u32 = 50;

/// The prompt of every request.
pub const DEFAULT_PROMPT: &str = "Tell a short story about a horse that works on the railway.";

/// Runs of each rung of a ladder: a confidence interval needs five, and the median of five
/// tolerates two outliers.
const LADDER_REPEATS: u32 = 5;

/// Least rounds of a measurement with a wanted precision: fewer have no interval of 95 %.
const UNTIL_REPEATS: u32 = 6;

/// Requests of each run for every one in flight, of a measurement with a wanted precision. Many
/// short rounds are more precise than few long ones: what changes slowly is the same for all
/// layers of a round.
const UNTIL_REQUESTS_PER_SLOT: u64 = 2;

/// Time for a measurement with a wanted precision, in seconds.
const UNTIL_SECONDS_MAX: f64 = 600.0;

/// Longest time of a claim without a heartbeat, in seconds.
const TTL_SECONDS_MAX: f64 = 3600.0;

/// The source of prompts and traces that came with the order, in results.
const ORDER_SOURCE: &str = "of the order";

/// The kind of benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Profile {
    /// One layer with one load shape.
    #[default]
    Run,
    /// One layer at increasing concurrency, until throughput saturates.
    Sweep,
    /// Every layer in turn: the cost of each.
    Ladder,
}

/// How the scheduler is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimTerms {
    /// What happens to the requests that it is processing.
    pub drain: ClaimDrain,
    /// Number of schedulers of the model that must remain serving.
    pub min_serving: u32,
    /// Whether to claim it even if fewer remain serving.
    pub force: bool,
    /// How long the claim lasts without a heartbeat.
    pub ttl_seconds: f64,
}

impl Default for ClaimTerms {
    fn default() -> Self {
        Self { drain: ClaimDrain::Wait, min_serving: 1, force: false, ttl_seconds: 30.0 }
    }
}

/// An order for a benchmark. Every field has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// The kind of benchmark.
    pub profile: Profile,
    /// The model; `None`: the only one.
    pub model: Option<ModelId>,
    /// The scheduler; `None`: the least loaded one of the model.
    pub scheduler: Option<SchedulerId>,
    /// How it is claimed.
    pub claim: ClaimTerms,
    /// The layers; empty: the scheduler, or for a ladder all layers on the path to it.
    pub layers: Vec<Layer>,
    /// When requests are sent; for a sweep, `concurrency` is the maximum.
    pub shape: Shape,
    /// Whether prompts use the model's chat template; `None`: if it has one.
    pub chat: Option<bool>,
    /// The prompt of every request.
    pub prompt: Option<String>,
    /// Generated prompts: synthetic, shared_prefix, conversation. In `hostler bench` also the
    /// contents of a file or trace: see [`with_inline_files`](Self::with_inline_files).
    pub prompts: Option<Prompts>,
    /// Prompts to use in turn.
    pub lines: Vec<String>,
    /// Requests of a trace in Mooncake's format; with the shape `replay` at their times.
    pub trace: Vec<TraceRow>,
    /// Requests of a run; `None`: [`DEFAULT_REQUESTS`], or all of a trace.
    pub requests: Option<u64>,
    /// Tokens of each answer.
    pub max_tokens: Length,
    /// Whether answers have exactly that length (`ignore_eos`).
    pub exact_length: bool,
    /// Sampling temperature.
    pub temperature: f32,
    /// Seed of everything random.
    pub seed: u64,
    /// Clients that disconnect before the end of their answer.
    pub leaving: Option<EarlyDisconnect>,
    /// Runs of each layer; `None`: 5 for a ladder, else 1; with `until_percent` the least, 6.
    pub repeats: Option<u32>,
    /// Measure further rounds until the interval of each ratio (of the throughput, if one layer
    /// is measured) is at most this percentage of its median in either direction.
    pub until_percent: Option<f64>,
    /// No further round begins after this time.
    pub until_seconds_max: f64,
    /// Unmeasured requests before each run; `None`: as many as are in flight.
    pub warm_up_requests: Option<u64>,
    /// No request is sent after this time.
    pub seconds_max: Option<f64>,
    /// A request that takes longer fails.
    pub request_seconds_max: f64,
    /// Time excluded at the start of each run.
    pub head_seconds: f64,
    /// Time excluded at the end of each run.
    pub tail_seconds: f64,
    /// Objectives for goodput.
    pub slo: Slo,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            profile: Profile::Run,
            model: None,
            scheduler: None,
            claim: ClaimTerms::default(),
            layers: Vec::new(),
            shape: Shape::Concurrent { concurrency: DEFAULT_CONCURRENCY },
            chat: None,
            prompt: None,
            prompts: None,
            lines: Vec::new(),
            trace: Vec::new(),
            requests: None,
            max_tokens: Length::constant(DEFAULT_MAX_TOKENS),
            exact_length: true,
            temperature: 0.7,
            seed: 0,
            leaving: None,
            repeats: None,
            until_percent: None,
            until_seconds_max: UNTIL_SECONDS_MAX,
            warm_up_requests: None,
            seconds_max: None,
            request_seconds_max: 300.0,
            head_seconds: 0.0,
            tail_seconds: 0.0,
            slo: Slo::default(),
        }
    }
}

/// An invalid order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct OrderError {
    /// The invalid field; empty if it is a combination.
    pub param: &'static str,
    /// The cause, and what is allowed.
    pub reason: String,
}

fn invalid(param: &'static str, reason: impl Into<String>) -> OrderError {
    OrderError { param, reason: reason.into() }
}

impl Order {
    /// The validated plan.
    ///
    /// # Errors
    /// Names the invalid field and what is allowed.
    pub fn plan(&self) -> Result<Plan, OrderError> {
        self.shape.validate().map_err(|error| invalid("shape", error.to_string()))?;
        self.check_layers()?;
        let ttl = self.claim.ttl_seconds;
        if !(1.0..=TTL_SECONDS_MAX).contains(&ttl) {
            let reason = format!("claim.ttl_seconds is {ttl}; it must be 1 to {TTL_SECONDS_MAX}");
            return Err(invalid("claim.ttl_seconds", reason));
        }
        let prompts = self.prompts()?;
        let until =
            self.until_percent.map(|percent| Until { precision: percent / 100.0, seconds_max: self.until_seconds_max });
        let requests = match &prompts {
            Prompts::Trace(trace) => trace.rows.len() as u64,
            _ => match self.shape {
                Shape::Concurrent { concurrency } if until.is_some() => {
                    u64::from(concurrency) * UNTIL_REQUESTS_PER_SLOT
                }
                _ => DEFAULT_REQUESTS,
            },
        };
        let repeats = match (until, self.profile) {
            (Some(_), _) => UNTIL_REPEATS,
            (None, Profile::Ladder) => LADDER_REPEATS,
            (None, _) => 1,
        };
        let plan = Plan {
            workload: Workload {
                prompts,
                output_tokens: self.max_tokens,
                exact_length: self.exact_length,
                temperature: self.temperature,
                seed: self.seed,
                leaving: self.leaving,
                salt: 0,
            },
            requests: self.requests.unwrap_or(requests),
            seconds_max: self.seconds_max,
            request_seconds_max: self.request_seconds_max,
            warm_up_requests: self.warm_up_requests,
            head_seconds: self.head_seconds,
            tail_seconds: self.tail_seconds,
            repeats: self.repeats.unwrap_or(repeats),
            until,
            slo: self.slo,
        };
        plan.validate().map_err(|error| invalid("", error.to_string()))?;
        Ok(plan)
    }

    /// The layers, from the engine upwards, for a scheduler in another process (`is_remote`)
    /// or in this one.
    #[must_use]
    pub fn layers(&self, is_remote: bool) -> Vec<Layer> {
        match (self.profile, &self.layers[..]) {
            (Profile::Ladder, []) => Layer::iter().filter(|layer| layer.is_on_path(is_remote)).collect(),
            (Profile::Run | Profile::Sweep, []) => vec![if is_remote { Layer::Grpc } else { Layer::Scheduler }],
            (_, layers) => {
                let mut layers = layers.to_vec();
                layers.sort_unstable();
                layers.dedup();
                layers
            }
        }
    }

    fn check_layers(&self) -> Result<(), OrderError> {
        // Whether the scheduler is remote makes no difference here.
        let layers = self.layers(false);
        if self.profile != Profile::Ladder && layers.len() != 1 {
            return Err(invalid(
                "layers",
                "layers: a run and a sweep measure one layer; profile ladder measures several",
            ));
        }
        if self.profile == Profile::Sweep && !matches!(self.shape, Shape::Concurrent { .. }) {
            return Err(invalid("shape", "shape: a sweep needs kind concurrent, with the maximum concurrency"));
        }
        if self.leaving.is_some() && layers.contains(&Layer::Http) {
            return Err(invalid(
                "leaving",
                "leaving: a client of layer http gets its answer in one piece and cannot disconnect early",
            ));
        }
        Ok(())
    }

    /// The order with the contents of prompt files and traces in `lines` and `trace`, so that
    /// it can be sent to a server, which reads no files.
    #[must_use]
    pub fn with_inline_files(self) -> Self {
        match self.prompts {
            Some(Prompts::File { lines, .. }) => Self { prompts: None, lines, ..self },
            Some(Prompts::Trace(trace)) => Self { prompts: None, trace: trace.rows.to_vec(), ..self },
            _ => self,
        }
    }

    fn prompts(&self) -> Result<Prompts, OrderError> {
        let given = [self.prompt.is_some(), self.prompts.is_some(), !self.lines.is_empty(), !self.trace.is_empty()];
        if given.into_iter().filter(|&given| given).count() > 1 {
            return Err(invalid("prompt", "prompt, prompts, lines and trace exclude each other"));
        }
        let prompts = if !self.trace.is_empty() {
            let rows = serde_json::to_string(&self.trace).unwrap_or_default();
            let trace = Trace::from_rows(ORDER_SOURCE.to_owned(), sha256(&rows), self.trace.clone());
            trace.map(Prompts::Trace).map_err(|reason| invalid("trace", format!("trace: {reason}")))?
        } else if !self.lines.is_empty() {
            let sha256 = sha256(&self.lines.join("\n"));
            Prompts::File { path: ORDER_SOURCE.into(), sha256, lines: self.lines.clone() }
        } else {
            let text = self.prompt.as_deref().unwrap_or(DEFAULT_PROMPT);
            self.prompts.clone().unwrap_or_else(|| Prompts::Fixed { text: text.to_owned() })
        };
        // JSON does not contain the contents of a file, only its name.
        let is_unread = match &prompts {
            Prompts::File { lines, .. } => lines.is_empty(),
            Prompts::Trace(trace) => trace.rows.is_empty(),
            _ => false,
        };
        if is_unread {
            return Err(invalid("prompts", "prompts: the server reads no files; send lines or trace"));
        }
        if matches!(self.shape, Shape::Replay { .. }) && !matches!(prompts, Prompts::Trace(_)) {
            return Err(invalid("trace", "trace: shape replay needs the requests to replay"));
        }
        Ok(prompts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(value: serde_json::Value) -> Order {
        serde_json::from_value(value).expect("an order")
    }

    #[test]
    fn the_defaults_are_the_reference_workload() {
        let order = order(json!({}));
        let plan = order.plan().expect("the defaults are valid");
        assert_eq!((plan.requests, plan.workload.output_tokens.max(), plan.repeats), (40, 50, 1));
        assert_eq!(order.shape, Shape::Concurrent { concurrency: 8 });
        assert_eq!(order.layers(false), [Layer::Scheduler]);
        assert_eq!(order.layers(true), [Layer::Grpc]);
    }

    #[test]
    fn a_ladder_measures_every_layer_on_the_path_five_times() {
        use Layer::{Engine, Grpc, Http, HttpStream, Router, Scheduler};
        let all = order(json!({"profile": "ladder"}));
        assert_eq!(all.plan().expect("valid").repeats, 5);
        assert_eq!(all.layers(false), [Engine, Scheduler, Router, Http, HttpStream]);
        assert_eq!(all.layers(true), [Grpc, Router, Http, HttpStream]);
        let named = order(json!({"profile": "ladder", "layers": ["grpc", "scheduler"]}));
        assert_eq!(named.layers(false), [Scheduler, Grpc]);
    }

    #[test]
    fn a_wanted_precision_takes_short_rounds_and_has_a_time_limit() {
        let plan = order(json!({"profile": "ladder", "until_percent": 1.0})).plan().expect("valid");
        assert_eq!((plan.repeats, plan.requests), (6, 16));
        assert_eq!(plan.until, Some(Until { precision: 0.01, seconds_max: 600.0 }));
        assert!(order(json!({"until_percent": 0.0})).plan().is_err());
        assert!(order(json!({"until_percent": 1.0, "until_seconds_max": 0})).plan().is_err());
    }

    #[test]
    fn an_order_round_trips_through_json() {
        let order = order(json!({
            "profile": "sweep", "max_tokens": "10-20", "prompts": {"kind": "conversation", "turns": 3, "tokens": 9},
            "leaving": {"share": 0.5, "after_tokens": 3}, "claim": {"drain": "evict"}
        }));
        let text = serde_json::to_string(&order).expect("JSON");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("an order"), order);
    }

    #[test]
    fn the_contents_of_files_are_sent_in_the_order() {
        let lines = vec!["a".to_owned(), "b".to_owned()];
        let file = Prompts::File { path: "prompts.txt".into(), sha256: String::new(), lines: lines.clone() };
        let order = Order { prompts: Some(file), ..Order::default() };
        assert!(order.plan().is_ok());
        let sent = order.with_inline_files();
        assert_eq!((sent.prompts.is_none(), &sent.lines), (true, &lines));
    }

    #[test]
    fn invalid_orders_are_refused_by_field() {
        let refused = |value| order(value).plan().expect_err("an invalid order").param;
        assert_eq!(refused(json!({"layers": ["engine", "http"]})), "layers");
        assert_eq!(refused(json!({"shape": {"kind": "concurrent", "concurrency": 0}})), "shape");
        assert_eq!(refused(json!({"profile": "sweep", "shape": {"kind": "synchronous"}})), "shape");
        assert_eq!(refused(json!({"shape": {"kind": "replay", "speed": 1.0}})), "trace");
        assert_eq!(refused(json!({"prompt": "a", "lines": ["b"]})), "prompt");
        assert_eq!(refused(json!({"prompts": {"kind": "file", "path": "/etc/passwd", "sha256": ""}})), "prompts");
        assert_eq!(refused(json!({"claim": {"ttl_seconds": 0}})), "claim.ttl_seconds");
        let leaving = json!({"share": 0.5, "after_tokens": 3});
        assert_eq!(refused(json!({"layers": ["http"], "leaving": leaving})), "leaving");
        assert!(serde_json::from_value::<Order>(json!({"request": 5})).is_err(), "unknown fields are refused");
    }
}
