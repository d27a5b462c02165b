//! What can be set on a scheduler, each with a default and the reason for it.

use std::time::Duration;

use hostler_protocol::{ModelId, SchedulerId};

/// The settings of one scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// Its name, unique in the cluster.
    pub id: SchedulerId,
    /// The name under which its model is served.
    pub model: ModelId,
    /// Most sequences in flight; at least 1. What the engine can do is a bound
    /// as well. 8 is where CPU engines stop gaining.
    pub max_batch_size: u32,
    /// Who may wait, and for how long.
    pub queue: QueueConfig,
    /// How sequences are put together.
    pub batching: BatchingConfig,
    /// What is done about an engine that fails.
    pub recovery: RecoveryConfig,
}

impl SchedulerConfig {
    /// The defaults, for a scheduler and a model of these names.
    #[must_use]
    pub fn new(id: impl Into<SchedulerId>, model: impl Into<ModelId>) -> Self {
        Self {
            id: id.into(),
            model: model.into(),
            max_batch_size: 8,
            queue: QueueConfig::default(),
            batching: BatchingConfig::default(),
            recovery: RecoveryConfig::default(),
        }
    }
}

/// Who may wait, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// Most requests in the queue. 256 are more than eight slots serve within
    /// the default `wait_max`, so time is the bound that is met first; this one
    /// guards memory.
    pub requests_max: u32,
    /// Most tokens in the queue, prompts and `max_tokens` together. 512 Ki are
    /// 256 requests of a full context of 2,048. A single request is admitted to
    /// an empty queue whatever its size.
    pub tokens_max: u64,
    /// Longest time in the queue. A request whose estimated wait is longer is
    /// refused at once; one that waited this long is refused then. 30 s: half of
    /// what HTTP clients and proxies commonly wait.
    pub wait_max: Duration,
    /// How often higher classes may start while the default class waits, and how
    /// often while the batch class does: after so many starts the class has its
    /// turn. 4 and 16: most of the engine goes to the urgent, and the others move.
    pub passed_over_max: PassedOverMax,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            requests_max: 256,
            tokens_max: 512 * 1024,
            wait_max: Duration::from_secs(30),
            passed_over_max: PassedOverMax { default: 4, batch: 16 },
        }
    }
}

/// How often a waiting class is passed over at most; each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOverMax {
    /// For the default class.
    pub default: u32,
    /// For the batch class.
    pub batch: u32,
}

/// How sequences are put together. The cohort settings matter for engines that
/// batch by equal length only, the long-prompt settings for engines that read a
/// prompt in one piece while others would decode.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchingConfig {
    /// Most tokens by which the lengths in a cohort differ.
    pub cohort_spread_tokens: u32,
    /// Longest time for which a free slot stays free, while somebody waits, for
    /// the cohort to drain; 0 is continuous refill. A longer wait gives more
    /// tokens/s, a shorter one an earlier first token. 10 s is about the time in
    /// which eight answers of up to 112 tokens drain on a CPU; with 5 s a quarter of
    /// the gain is lost (see `examples/cohorts.rs`).
    pub cohort_wait: Duration,
    /// From this length on a prompt counts as long: reading it stalls the others
    /// for longer than a person overlooks (512 tokens: 1.2 s at 427 tokens/s).
    pub long_prompt_tokens: u32,
    /// Longest time for which a long prompt waits for a moment when nothing runs.
    pub long_prompt_wait: Duration,
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

/// What is done about an engine that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryConfig {
    /// An engine that runs sequences and makes no step for so long counts as
    /// hung. It must exceed the longest step: a blocking prefill of 1,500 tokens
    /// took 29 s, hence 60 s.
    pub watchdog: Duration,
    /// Most restarts within `restart_window`. After that the scheduler stays
    /// failed until the oldest of them is out of the window.
    pub restarts_max: u32,
    /// The window.
    pub restart_window: Duration,
    /// Pause before the first restart; it doubles with each further one in the window.
    pub restart_backoff: Duration,
    /// Longest pause.
    pub restart_backoff_max: Duration,
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
