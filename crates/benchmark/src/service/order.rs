//! What can be ordered: the body of `POST /v1/benchmarks`.

use hostler_protocol::{ClaimDrain, ModelId, SchedulerId};
use serde::{Deserialize, Serialize};

use crate::bench::Plan;
use crate::measure::Slo;
use crate::shape::Shape;
use crate::workload::{Leaving, Length, Prompts, Trace, TraceRow, Workload, sha256};

/// The prompt, where none is given: that of the command line.
pub(crate) const PROMPT: &str = "Tell a short story about a horse that works on the railway.";

/// Runs of each rung of a ladder, where the number is not given: an interval needs
/// five, and the median of five forgives two bad ones.
const LADDER_REPEATS: u32 = 5;

/// Longest time of a claim without a heartbeat, in seconds.
const TTL_SECONDS_MAX: f64 = 3600.0;

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// One layer, in one load.
    #[default]
    Run,
    /// One layer under more and more load, until more brings nothing.
    Sweep,
    /// Every layer in turn: what each of them costs.
    Ladder,
}

/// What is asked, from the engine upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The executor alone.
    Engine,
    /// Through the actor of a scheduler in this process.
    Scheduler,
    /// Through the connection to a scheduler in another process; of one in this process,
    /// through a connection that is made for it.
    Grpc,
    /// Through the router.
    Router,
    /// Over HTTP, the answer in one piece.
    Http,
    /// Over HTTP, token by token.
    HttpStream,
}

impl Layer {
    /// Every layer, from the engine upwards.
    pub const ALL: [Self; 6] = [Self::Engine, Self::Scheduler, Self::Grpc, Self::Router, Self::Http, Self::HttpStream];

    /// As orders and results spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Scheduler => "scheduler",
            Self::Grpc => "grpc",
            Self::Router => "router",
            Self::Http => "http",
            Self::HttpStream => "http-stream",
        }
    }

    /// Whether it is asked over HTTP.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpStream)
    }

    /// Whether a client's request comes through it on its way to a scheduler that is in
    /// another process (`is_remote`), or in this one.
    const fn is_on_the_way(self, is_remote: bool) -> bool {
        match self {
            Self::Engine | Self::Scheduler => !is_remote,
            Self::Grpc => is_remote,
            Self::Router | Self::Http | Self::HttpStream => true,
        }
    }
}

/// On which terms the scheduler is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimTerms {
    /// What happens to the requests that it has.
    pub drain: ClaimDrain,
    /// So many schedulers of the model must go on serving.
    pub min_serving: u32,
    /// Whether that is only a wish.
    pub force: bool,
    /// How long the claim lasts without a heartbeat.
    pub ttl_seconds: f64,
}

impl Default for ClaimTerms {
    fn default() -> Self {
        Self { drain: ClaimDrain::Wait, min_serving: 1, force: false, ttl_seconds: 30.0 }
    }
}

/// An order. All but the profile may be left out; the defaults are those of the
/// benchmark that Hostler goes back to: 40 requests, 8 at a time, 50 tokens each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// What is done.
    pub profile: Profile,
    /// The model; `None`: the only one.
    pub model: Option<ModelId>,
    /// The scheduler; `None`: the least loaded one of the model.
    pub scheduler: Option<SchedulerId>,
    /// On which terms it is claimed.
    pub claim: ClaimTerms,
    /// What is asked; empty: the scheduler, or for a ladder all on the way to it.
    pub layers: Vec<Layer>,
    /// When requests are sent; for a sweep its `concurrency` is the most in flight.
    pub shape: Shape,
    /// Whether prompts are laid out by the model's chat template; `None`: if it has one.
    pub chat: Option<bool>,
    /// The prompt of every request.
    pub prompt: Option<String>,
    /// Prompts that are made: synthetic, shared_prefix, conversation.
    pub prompts: Option<Prompts>,
    /// Prompts to take in turn.
    pub lines: Vec<String>,
    /// Requests to replay, in Mooncake's format; with the shape `replay` at their times.
    pub trace: Vec<TraceRow>,
    /// Requests of a run; `None`: 40, or all of a trace.
    pub requests: Option<u64>,
    /// Tokens of an answer.
    pub max_tokens: Length,
    /// Whether answers go on to that length (`ignore_eos`).
    pub exact_length: bool,
    /// Sampling temperature.
    pub temperature: f32,
    /// Seed of all that is random.
    pub seed: u64,
    /// Clients that leave before the end.
    pub leaving: Option<Leaving>,
    /// Runs of each layer; `None`: 5 for a ladder, else 1.
    pub repeats: Option<u32>,
    /// Requests before each run that do not count; `None`: as many as are in flight.
    pub warm_up_requests: Option<u64>,
    /// No request is sent after this time.
    pub seconds_max: Option<f64>,
    /// A request that takes longer has failed.
    pub request_seconds_max: f64,
    /// So much at the beginning of each run is left out.
    pub head_seconds: f64,
    /// So much at its end is left out.
    pub tail_seconds: f64,
    /// What a good answer is.
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
            shape: Shape::Concurrent { concurrency: 8 },
            chat: None,
            prompt: None,
            prompts: None,
            lines: Vec::new(),
            trace: Vec::new(),
            requests: None,
            max_tokens: Length::of(50),
            exact_length: true,
            temperature: 0.7,
            seed: 0,
            leaving: None,
            repeats: None,
            warm_up_requests: None,
            seconds_max: None,
            request_seconds_max: 300.0,
            head_seconds: 0.0,
            tail_seconds: 0.0,
            slo: Slo::default(),
        }
    }
}

/// An order that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct OrderError {
    /// Which member of the order is wrong; empty where it is several together.
    pub param: &'static str,
    /// What is wrong, and what is allowed.
    pub reason: String,
}

fn wrong(param: &'static str, reason: impl Into<String>) -> OrderError {
    OrderError { param, reason: reason.into() }
}

impl Order {
    /// What it says to do, checked.
    ///
    /// # Errors
    /// Says which member is wrong and what is allowed.
    pub fn plan(&self) -> Result<Plan, OrderError> {
        self.shape.validate().map_err(|error| wrong("shape", error.to_string()))?;
        self.check_layers()?;
        let ttl = self.claim.ttl_seconds;
        if !(1.0..=TTL_SECONDS_MAX).contains(&ttl) {
            let reason = format!("claim.ttl_seconds is {ttl}; it must be 1 to {TTL_SECONDS_MAX}");
            return Err(wrong("claim.ttl_seconds", reason));
        }
        let prompts = self.prompts()?;
        let rows = self.trace.len() as u64;
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
            requests: self.requests.unwrap_or(if rows > 0 { rows } else { 40 }),
            seconds_max: self.seconds_max,
            request_seconds_max: self.request_seconds_max,
            warm_up_requests: self.warm_up_requests,
            head_seconds: self.head_seconds,
            tail_seconds: self.tail_seconds,
            repeats: self.repeats.unwrap_or(if self.profile == Profile::Ladder { LADDER_REPEATS } else { 1 }),
            slo: self.slo,
        };
        plan.validate().map_err(|error| wrong("", error.to_string()))?;
        Ok(plan)
    }

    /// What is asked, from the engine upwards, where the scheduler is in another process
    /// (`is_remote`), or in this one.
    #[must_use]
    pub fn layers(&self, is_remote: bool) -> Vec<Layer> {
        match (self.profile, &self.layers[..]) {
            (Profile::Ladder, []) => Layer::ALL.into_iter().filter(|layer| layer.is_on_the_way(is_remote)).collect(),
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
        // Where the scheduler is makes no difference to what is checked here.
        let layers = self.layers(false);
        if self.profile != Profile::Ladder && layers.len() != 1 {
            return Err(wrong("layers", "layers: a run and a sweep ask one layer; profile ladder asks several"));
        }
        if self.profile == Profile::Sweep && !matches!(self.shape, Shape::Concurrent { .. }) {
            return Err(wrong("shape", "shape: a sweep takes kind concurrent, with the most in flight"));
        }
        if self.leaving.is_some() && layers.contains(&Layer::Http) {
            return Err(wrong(
                "leaving",
                "leaving: a client of layer http gets its answer in one piece and cannot leave",
            ));
        }
        Ok(())
    }

    fn prompts(&self) -> Result<Prompts, OrderError> {
        let given = [self.prompt.is_some(), self.prompts.is_some(), !self.lines.is_empty(), !self.trace.is_empty()];
        if given.into_iter().filter(|&given| given).count() > 1 {
            return Err(wrong("prompt", "prompt, prompts, lines and trace exclude each other"));
        }
        if matches!(self.shape, Shape::Replay { .. }) && self.trace.is_empty() {
            return Err(wrong("trace", "trace: shape replay needs the requests to replay"));
        }
        if !self.trace.is_empty() {
            let rows = serde_json::to_string(&self.trace).unwrap_or_default();
            let trace = Trace::of("of the order".to_owned(), sha256(&rows), self.trace.clone());
            return trace.map(Prompts::Trace).map_err(|reason| wrong("trace", format!("trace: {reason}")));
        }
        if !self.lines.is_empty() {
            let sha256 = sha256(&self.lines.join("\n"));
            return Ok(Prompts::File { path: "of the order".into(), sha256, lines: self.lines.clone() });
        }
        match &self.prompts {
            Some(Prompts::File { .. } | Prompts::Trace(_)) => {
                Err(wrong("prompts", "prompts: no file of this server is read; send lines or trace"))
            }
            Some(prompts) => Ok(prompts.clone()),
            None => Ok(Prompts::Fixed { text: self.prompt.clone().unwrap_or_else(|| PROMPT.to_owned()) }),
        }
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
    fn the_defaults_are_the_benchmark_that_hostler_goes_back_to() {
        let order = order(json!({}));
        let plan = order.plan().expect("the defaults are allowed");
        assert_eq!((plan.requests, plan.workload.output_tokens.max(), plan.repeats), (40, 50, 1));
        assert_eq!(order.shape, Shape::Concurrent { concurrency: 8 });
        assert_eq!(order.layers(false), [Layer::Scheduler]);
        assert_eq!(order.layers(true), [Layer::Grpc]);
    }

    #[test]
    fn a_ladder_asks_every_layer_on_the_way_five_times() {
        use Layer::{Engine, Grpc, Http, HttpStream, Router, Scheduler};
        let all = order(json!({"profile": "ladder"}));
        assert_eq!(all.plan().expect("allowed").repeats, 5);
        assert_eq!(all.layers(false), [Engine, Scheduler, Router, Http, HttpStream]);
        assert_eq!(all.layers(true), [Grpc, Router, Http, HttpStream]);
        let named = order(json!({"profile": "ladder", "layers": ["grpc", "scheduler"]}));
        assert_eq!(named.layers(false), [Scheduler, Grpc]);
    }

    #[test]
    fn an_order_survives_its_own_writing() {
        let order = order(json!({
            "profile": "sweep", "max_tokens": "10-20", "prompts": {"kind": "conversation", "turns": 3, "tokens": 9},
            "leaving": {"share": 0.5, "after_tokens": 3}, "claim": {"drain": "evict"}
        }));
        let text = serde_json::to_string(&order).expect("it can be written");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("it can be read"), order);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let refused = |value| order(value).plan().expect_err("it cannot be").param;
        assert_eq!(refused(json!({"layers": ["engine", "http"]})), "layers");
        assert_eq!(refused(json!({"shape": {"kind": "concurrent", "concurrency": 0}})), "shape");
        assert_eq!(refused(json!({"profile": "sweep", "shape": {"kind": "synchronous"}})), "shape");
        assert_eq!(refused(json!({"shape": {"kind": "replay", "speed": 1.0}})), "trace");
        assert_eq!(refused(json!({"prompt": "a", "lines": ["b"]})), "prompt");
        assert_eq!(refused(json!({"prompts": {"kind": "file", "path": "/etc/passwd", "sha256": ""}})), "prompts");
        assert_eq!(refused(json!({"claim": {"ttl_seconds": 0}})), "claim.ttl_seconds");
        let leaving = json!({"share": 0.5, "after_tokens": 3});
        assert_eq!(refused(json!({"layers": ["http"], "leaving": leaving})), "leaving");
        assert!(serde_json::from_value::<Order>(json!({"request": 5})).is_err(), "no unknown members");
    }
}
