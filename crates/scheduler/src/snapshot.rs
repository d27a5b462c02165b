//! Snapshots of a scheduler's state and load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::{FencingToken, ModelDescription, ModelId, Priority, SchedulerId};
use serde::{Serialize, Serializer};

/// A scheduler's state and load. Routing, `GET /admin/schedulers` and the metrics all read
/// this.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchedulerSnapshot {
    /// Its name.
    pub id: SchedulerId,
    /// The model that it serves or is loading.
    pub model: ModelId,
    /// Its state.
    pub state: SchedulerState,
    /// The loaded model; `None` until one is loaded.
    #[serde(serialize_with = "serialize_shared")]
    pub description: Option<Arc<ModelDescription>>,
    /// A hash of the loaded model's vocabulary; `None` if it is not known. Token ids mean the
    /// same to two schedulers only if theirs are equal.
    #[serde(skip)]
    pub vocabulary: Option<u64>,
    /// Maximum sequences in flight: the smaller of the configured `max_batch_size` and the
    /// engine's limit.
    pub batch_size_max: u32,
    /// Sequences in flight.
    pub running: u32,
    /// Requests in the queue, by class, in the order of [`Priority::ALL`].
    pub waiting: [u32; Priority::ALL.len()],
    /// Tokens reserved by the sequences in flight: prompt and `max_tokens`.
    pub kv_reserved_tokens: u64,
    /// Tokens reserved by running and queued requests, less those already generated. Load
    /// balancing compares this.
    pub outstanding_tokens: u64,
    /// How long a request that arrives now would wait.
    pub estimated_wait: Duration,
    /// Steps that the engine has completed.
    pub steps: u64,
    /// Time since the last step while sequences run; zero when idle.
    pub since_last_step: Duration,
    /// The claim that is in effect or waits for the drain.
    pub claim: Option<ClaimSnapshot>,
    /// Engine restarts after failures.
    pub restarts: u32,
    /// Why it is `Failed` or restarting.
    pub failure: Option<String>,
}

impl SchedulerSnapshot {
    /// A scheduler whose model is being loaded.
    #[must_use]
    pub fn starting(id: SchedulerId, model: ModelId, batch_size_max: u32) -> Self {
        Self {
            id,
            model,
            state: SchedulerState::Starting,
            description: None,
            vocabulary: None,
            batch_size_max,
            running: 0,
            waiting: [0; Priority::ALL.len()],
            kv_reserved_tokens: 0,
            outstanding_tokens: 0,
            estimated_wait: Duration::ZERO,
            steps: 0,
            since_last_step: Duration::ZERO,
            claim: None,
            restarts: 0,
            failure: None,
        }
    }

    /// Requests in the queue, in all classes.
    #[must_use]
    pub fn waiting_total(&self) -> u32 {
        // Another process may report anything.
        self.waiting.iter().fold(0, |total, &waiting| total.saturating_add(waiting))
    }
}

/// A claim on a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimSnapshot {
    /// Its fencing token. Not a secret: only an admin's API key may use it.
    pub token: FencingToken,
    /// Its owner, for people to read.
    pub owner: String,
    /// When it was granted, by this process's clock; `None` if a worker does not report it.
    #[serde(skip)]
    pub granted: Option<Instant>,
    /// How long it lasts without a heartbeat.
    pub ttl: Duration,
}

/// Serializes the value in an [`Arc`]. Serde's `rc` feature would do the same, but every
/// crate of the workspace would have to be built with it.
fn serialize_shared<S: Serializer>(
    description: &Option<Arc<ModelDescription>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    description.as_deref().serialize(serializer)
}

/// The state of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerState {
    /// Its model is being loaded.
    Starting,
    /// It admits requests.
    Serving,
    /// It finishes its requests and admits no new ones.
    Draining,
    /// It is claimed and admits only requests of the claim.
    Claimed,
    /// Its engine failed; a new one may be loading.
    Failed,
    /// It has stopped for good.
    Stopped,
}

impl SchedulerState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Serving, Self::Draining, Self::Claimed, Self::Failed, Self::Stopped];

    /// The name in the API and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Claimed => "claimed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}
