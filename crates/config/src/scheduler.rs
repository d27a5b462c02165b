//! `[scheduler]` and `[schedulers.NAME]`. [`crate::KEYS`] says what each key means
//! and allows.

use hostler_protocol::Engine;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Device, Problem};

/// A scheduler's settings: `[scheduler]` holds what all have in common,
/// `[schedulers.NAME]` what one has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerSettings {
    /// The model: a name from the catalogue, a hub id, or a path.
    pub model: String,
    /// The name under which clients ask for it; `None`: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_name: Option<String>,
    /// The engine that runs it.
    pub engine: Engine,
    /// Where it runs.
    pub device: Device,
    /// Whether the engine has a process of its own.
    pub isolation: Isolation,
    /// So many of it, which share the device's cores.
    pub replicas: u32,
    /// Most sequences in flight.
    pub max_batch_size: u32,
    /// Most tokens of a sequence, prompt and output together.
    pub max_context_length: u32,
    /// Who may wait, and for how long.
    pub queue: QueueSettings,
    /// How sequences are put together.
    pub batching: BatchingSettings,
    /// What is done about an engine that fails.
    pub recovery: RecoverySettings,
    /// For `engine = "mistralrs"`.
    pub mistralrs: MistralrsSettings,
    /// For `engine = "llamacpp"`.
    pub llamacpp: LlamacppSettings,
    /// For `engine = "simulated"`: its own keys, which the engine checks.
    pub simulated: toml::Table,
}

/// Whether an engine has a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// It has one on a CPU, when there is more than one scheduler.
    Auto,
    /// It has one.
    Process,
    /// It runs in this process.
    Thread,
}

/// `[scheduler.queue]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Most requests in the queue.
    pub requests_max: u32,
    /// Most tokens in the queue, prompts and `max_tokens` together.
    pub tokens_max: u64,
    /// Longest time in the queue, in seconds.
    pub wait_seconds_max: u64,
    /// How often the default class is passed over at most.
    pub default_passed_over_max: u32,
    /// How often the batch class is passed over at most.
    pub batch_passed_over_max: u32,
}

/// `[scheduler.batching]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchingSettings {
    /// Most tokens by which lengths in a cohort differ.
    pub cohort_spread_tokens: u32,
    /// Longest time for which a slot stays free for the cohort to drain, in ms.
    pub cohort_wait_ms_max: u64,
    /// From this length on a prompt is long.
    pub long_prompt_tokens: u32,
    /// Longest time for which a long prompt waits for an idle engine, in ms.
    pub long_prompt_wait_ms_max: u64,
}

/// `[scheduler.recovery]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverySettings {
    /// An engine that runs and makes no step for so long is hung, in seconds.
    pub watchdog_seconds: u64,
    /// Most restarts in a window.
    pub restarts_max: u32,
    /// The window, in seconds.
    pub restart_window_seconds: u64,
    /// Pause before the first restart, in ms.
    pub restart_backoff_ms: u64,
    /// Longest pause, in ms.
    pub restart_backoff_ms_max: u64,
}

/// `[scheduler.mistralrs]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MistralrsSettings {
    /// How weights from safetensors are held in memory.
    pub weight_format: WeightFormat,
}

/// How weights from safetensors are held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    /// What suits the device.
    Native,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16.
    Bf16,
    /// 8 bits in blocks of 32.
    Q8_0,
}

/// `[scheduler.llamacpp]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamacppSettings {
    /// Most prompt tokens in one step.
    pub prefill_chunk_tokens: u32,
    /// Threads that compute; `None`: one for each core of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

impl Default for SchedulerSettings {
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
            queue: QueueSettings {
                requests_max: 256,
                tokens_max: 512 * 1024,
                wait_seconds_max: 30,
                default_passed_over_max: 4,
                batch_passed_over_max: 16,
            },
            batching: BatchingSettings {
                cohort_spread_tokens: 4,
                cohort_wait_ms_max: 10_000,
                long_prompt_tokens: 512,
                long_prompt_wait_ms_max: 2_000,
            },
            recovery: RecoverySettings {
                watchdog_seconds: 60,
                restarts_max: 5,
                restart_window_seconds: 600,
                restart_backoff_ms: 100,
                restart_backoff_ms_max: 30_000,
            },
            mistralrs: MistralrsSettings { weight_format: WeightFormat::Native },
            llamacpp: LlamacppSettings { prefill_chunk_tokens: 65, threads: None },
            simulated: toml::Table::new(),
        }
    }
}

/// A scheduler to start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedScheduler {
    /// Its name, unique in this process.
    pub name: String,
    /// How it is set up.
    #[serde(flatten)]
    pub settings: SchedulerSettings,
}

impl NamedScheduler {
    /// The simulated engine's own table, as the type that it is read into. Its
    /// context and batch are the scheduler's, unless the table has its own.
    ///
    /// # Errors
    /// A [`Problem`] that names the key.
    pub fn simulated<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let mut table = self.settings.simulated.clone();
        let mut default = |key: &str, value: u32| {
            table.entry(key).or_insert_with(|| i64::from(value).into());
        };
        default("context_length", self.settings.max_context_length);
        default("max_sequences", self.settings.max_batch_size);
        table.try_into().map_err(|error: toml::de::Error| Problem {
            key: format!("schedulers.{}.simulated", self.name),
            origin: None,
            message: error.message().to_owned(),
        })
    }
}
