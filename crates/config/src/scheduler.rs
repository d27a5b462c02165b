//! `[scheduler]` and `[schedulers.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_protocol::{Engine, ToolFormat};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fields::{DAY_SECONDS, HOUR_MS, millis, ordered, seconds};
use crate::rules::{NAME_ALLOWED, is_name};
use crate::{Device, Problem};

mod mistralrs;
mod tool_format;

pub use mistralrs::{KvCacheType, MistralrsOptions, WeightFormat};

/// A scheduler: its model, its engine, and how it is run. `[scheduler]` holds what all
/// schedulers have in common, `[schedulers.NAME]` what differs for one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct SchedulerSpec {
    /// The model. `hostler model list` shows the catalogue.
    #[schemars(extend("x-allowed" = "a catalogue name, a hub id (owner/name), or a path"))]
    pub model: String,
    /// The name by which clients request the model. Default: the model's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "text without spaces"))]
    pub served_name: Option<String>,
    /// The engine that runs the model: mistralrs (for GPUs), llamacpp (the faster one on
    /// CPUs), simulated (runs no model: a cost model that generates text, for tests and
    /// capacity planning).
    #[schemars(with = "String", extend("enum" = ENGINES.map(Engine::as_str)))]
    pub engine: Engine,
    /// The device that runs the engine. auto is the first GPU of the kind that the binary is
    /// built for, or else all CPU cores.
    #[schemars(
        with = "String",
        extend("x-allowed" = "auto, cpu, cpu:CORES (such as cpu:0-3), cuda:N, metal, vulkan:N, rocm:N")
    )]
    pub device: Device,
    /// Whether the engine runs in a process of its own, pinned to its device, so that a
    /// crash costs only its own requests; or in a thread of this process. auto is process on
    /// a CPU if there is more than one scheduler, else thread.
    pub isolation: Isolation,
    /// Number of identical schedulers, NAME, NAME-2 and so on, which share the cores of a
    /// CPU evenly, each in a process of its own. Each loads the model. The engine mistralrs
    /// runs one sequence at a time on a CPU, so one scheduler per core is faster than one on
    /// all cores, and `make run` does that; llamacpp is faster as one.
    #[schemars(range(min = 1, max = 64))]
    pub replicas: u32,
    /// Maximum number of sequences in flight. The engine's own limit applies too: mistralrs
    /// on a CPU runs one.
    ///
    /// CPU engines stop gaining at about 8.
    #[schemars(range(min = 1, max = 1024))]
    pub max_batch_size: u32,
    /// Maximum number of tokens of a sequence, prompt and output together. The model's own
    /// limit applies too.
    #[schemars(range(min = 16, max = 1 << 20))]
    pub max_context_length: u32,
    /// The format in which the model writes tool calls: a name of docs/tools.md. auto detects it
    /// from the chat template. Naming one has no effect on a model whose template renders no
    /// tools: its calls are always in the format hermes.
    #[serde(with = "tool_format")]
    #[schemars(with = "String", extend("enum" = tool_format::names()))]
    pub tool_format: Option<ToolFormat>,
    /// For the engine simulated, which checks it: kv_capacity_tokens, batching, prefill,
    /// cost, prefix_cache_tokens, eos_after, script, faults. See "The simulated engine" in
    /// docs/configuration.md.
    #[schemars(with = "BTreeMap<String, serde_json::Value>", extend("x-allowed" = "a table"))]
    pub simulated: toml::Table,
    /// `[scheduler.queue]`: which requests wait, and for how long.
    pub queue: QueueConfig,
    /// `[scheduler.batching]`: which sequences run together.
    pub batching: BatchingConfig,
    /// `[scheduler.recovery]`: what happens when the engine fails.
    pub recovery: RecoveryConfig,
    /// `[scheduler.mistralrs]`: for the engine mistralrs.
    pub mistralrs: MistralrsOptions,
    /// `[scheduler.llamacpp]`: for the engine llamacpp.
    pub llamacpp: LlamacppOptions,
}

/// Every engine, in the order in which they are documented.
pub const ENGINES: [Engine; 3] = [Engine::Mistralrs, Engine::Llamacpp, Engine::Simulated];

/// Whether an engine runs in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A process on a CPU if there is more than one scheduler, else a thread.
    Auto,
    /// A process of its own.
    Process,
    /// A thread of this process.
    Thread,
}

/// `[scheduler.queue]`: which requests wait, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct QueueConfig {
    /// Maximum number of waiting requests; a further one is refused with 429 and
    /// Retry-After. It bounds memory: wait_seconds_max is usually the tighter limit.
    ///
    /// 256 are more than eight sequences at a time complete within the default
    /// wait_seconds_max.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests_max: u32,
    /// Maximum number of waiting tokens, prompts and max_tokens together. An empty queue
    /// admits a single request of any size.
    ///
    /// 512 Ki are 256 requests of a full context of 2,048.
    #[schemars(range(min = 0, max = 1_u64 << 40))]
    pub tokens_max: u64,
    /// Maximum time in the queue. A request whose estimated wait is longer is refused
    /// immediately.
    ///
    /// 30 s are half of what HTTP clients and proxies commonly wait.
    #[serde(rename = "wait_seconds_max", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub wait_max: Duration,
    /// A waiting request of the default class starts after at most this many starts of
    /// interactive requests.
    ///
    /// 4, and 16 for the batch class: interactive requests get most of the engine, and the
    /// other classes still make progress.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub default_passed_over_max: u32,
    /// A waiting request of the batch class starts after at most this many starts of other
    /// requests.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_passed_over_max: u32,
}

/// `[scheduler.batching]`: which sequences run together. The cohort keys apply to engines
/// that batch only sequences of equal length, the long-prompt keys to engines that prefill
/// a prompt in one step and stall decoding until it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct BatchingConfig {
    /// For engines that batch only sequences of equal length: maximum difference of the
    /// lengths in a cohort, in tokens.
    #[schemars(range(min = 0, max = 1 << 20))]
    pub cohort_spread_tokens: u32,
    /// For such engines: maximum time for which a free slot stays free, while requests wait,
    /// so that the cohort can drain. 0 refills continuously.
    ///
    /// A longer wait gives more tokens/s, a shorter one an earlier first token. In 10 s
    /// eight answers of up to 112 tokens drain on a CPU; with 5 s a quarter of the gain is
    /// lost (see `crates/scheduler/examples/cohorts.rs`).
    #[serde(rename = "cohort_wait_ms_max", with = "millis")]
    #[schemars(with = "u64", range(min = 0, max = HOUR_MS))]
    pub cohort_wait: Duration,
    /// For engines that prefill a prompt in one step: prompts of at least this many tokens
    /// count as long.
    ///
    /// Prefill of 512 tokens at 427 tokens/s stalls the other sequences for 1.2 s, which a
    /// person notices.
    #[schemars(range(min = 1, max = 1 << 20))]
    pub long_prompt_tokens: u32,
    /// For such engines: maximum time for which a long prompt waits for an idle engine.
    #[serde(rename = "long_prompt_wait_ms_max", with = "millis")]
    #[schemars(with = "u64", range(min = 0, max = HOUR_MS))]
    pub long_prompt_wait: Duration,
}

/// `[scheduler.recovery]`: what happens when the engine fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct RecoveryConfig {
    /// An engine that has running sequences and completes no step for this long counts as
    /// hung, and is restarted. Set it longer than the longest step: an engine that prefills
    /// a prompt in one step took 29 s for 1,500 tokens.
    #[serde(rename = "watchdog_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub watchdog: Duration,
    /// Maximum number of restarts of an engine within restart_window_seconds; after that the
    /// scheduler stays failed until the oldest restart has left the window.
    #[schemars(range(min = 0, max = 1_000))]
    pub restarts_max: u32,
    /// The window in which restarts are counted.
    #[serde(rename = "restart_window_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub restart_window: Duration,
    /// Delay before the first restart; it doubles with each further restart in the window.
    #[serde(rename = "restart_backoff_ms", with = "millis")]
    #[schemars(with = "u64", range(min = 0, max = HOUR_MS))]
    pub restart_backoff: Duration,
    /// Maximum delay before a restart.
    #[serde(rename = "restart_backoff_ms_max", with = "millis")]
    #[schemars(with = "u64", range(min = 0, max = HOUR_MS))]
    pub restart_backoff_max: Duration,
}

/// `[scheduler.llamacpp]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct LlamacppOptions {
    /// For the engine llamacpp: maximum number of prompt tokens in one step, which bounds
    /// the gap between the tokens of running sequences during a prefill.
    ///
    /// One token of the chunk shares a step with the decoding sequences; the others have a
    /// step of their own, for which llama.cpp uses its faster attention from 64 tokens on.
    /// Measured with seven running sequences and a prompt of 1,500 tokens, demo model in
    /// Q8_0, 2 cores (without the prompt the median gap is 22 ms):
    ///
    /// | chunk | median gap ms | longest gap ms | prefill s |
    /// |---|---|---|---|
    /// | 16 | 62 | 143 | 6.2 |
    /// | 32 | 97 | 182 | 4.7 |
    /// | 64 | 175 | 358 | 4.3 |
    /// | 65 | 127 | 259 | 3.4 |
    /// | 128 | 230 | 313 | 2.6 |
    /// | 256 | 433 | 519 | 2.5 |
    #[schemars(range(min = 1, max = 65_536))]
    pub prefill_chunk_tokens: u32,
    /// For the engine llamacpp: number of compute threads. Default: one per core of the
    /// device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u32>,
}

impl Default for SchedulerSpec {
    fn default() -> Self {
        Self {
            model: "smollm2-135m-instruct".to_owned(),
            served_name: None,
            engine: Engine::Mistralrs,
            device: Device::Auto,
            isolation: Isolation::Auto,
            replicas: 1,
            max_batch_size: 8,
            max_context_length: 2048,
            tool_format: None,
            simulated: toml::Table::new(),
            queue: QueueConfig::default(),
            batching: BatchingConfig::default(),
            recovery: RecoveryConfig::default(),
            mistralrs: MistralrsOptions::default(),
            llamacpp: LlamacppOptions::default(),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            requests_max: 256,
            tokens_max: 512 * 1024,
            wait_max: Duration::from_secs(30),
            default_passed_over_max: 4,
            batch_passed_over_max: 16,
        }
    }
}

impl Default for BatchingConfig {
    fn default() -> Self {
        Self {
            cohort_spread_tokens: 4,
            cohort_wait: Duration::from_secs(10),
            long_prompt_tokens: 512,
            long_prompt_wait: Duration::from_secs(2),
        }
    }
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            watchdog: Duration::from_secs(60),
            restarts_max: 5,
            restart_window: Duration::from_secs(600),
            restart_backoff: Duration::from_millis(100),
            restart_backoff_max: Duration::from_secs(30),
        }
    }
}

impl Default for LlamacppOptions {
    fn default() -> Self {
        Self { prefill_chunk_tokens: 65, threads: None }
    }
}

/// A scheduler to start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedScheduler {
    /// Its name, unique in this process.
    pub name: String,
    /// What it runs.
    #[serde(flatten)]
    pub spec: SchedulerSpec,
}

impl NamedScheduler {
    /// The table `simulated` as the type that the engine reads it into. Its context length
    /// and batch size are the scheduler's, unless the table sets its own.
    ///
    /// # Errors
    /// A [`Problem`] that names the key.
    pub fn simulated<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut table = self.spec.simulated.clone();
        let mut default = |key: &str, value: u32| {
            table.entry(key).or_insert_with(|| i64::from(value).into());
        };
        default("context_length", self.spec.max_context_length);
        default("max_sequences", self.spec.max_batch_size);
        table.try_into().map_err(|error: toml::de::Error| {
            Problem::new(format!("schedulers.{}.simulated", self.name), error.message())
        })
    }

    /// What is wrong beyond ranges.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| {
            problems.push(Problem::new(format!("schedulers.{}{key}", self.name), message));
        };
        if !is_name(&self.name) {
            refuse("", NAME_ALLOWED.to_owned());
        }
        if self.spec.model.trim().is_empty() {
            refuse(".model", format!("{:?} is not a model; `hostler model list` shows the catalogue", self.spec.model));
        }
        if let Some(name) = &self.spec.served_name
            && (name.is_empty() || name.contains(char::is_whitespace))
        {
            refuse(".served_name", format!("{name:?} is not allowed; allowed is text without spaces"));
        }
        for (key, message) in self.spec.mistralrs.conflicts() {
            refuse(key, message.to_owned());
        }
        problems
    }
}
