//! A scheduler's state and load, as others see it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::{FencingToken, ModelDescription, ModelId, Priority, SchedulerId};
use serde::{Serialize, Serializer};

/// What a scheduler says of itself. Routing, `GET /admin/schedulers` and the
/// metrics all read this.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchedulerSnapshot {
    /// Its name.
    pub id: SchedulerId,
    /// The model that it serves, or will once it is loaded.
    pub model: ModelId,
    /// What it does.
    pub state: SchedulerState,
    /// The loaded model; `None` until there is one.
    #[serde(serialize_with = "serialize_shared")]
    pub description: Option<Arc<ModelDescription>>,
    /// Most sequences in flight: the smaller of the configuration's
    /// `max_batch_size` and what the engine can do.
    pub batch_size_max: u32,
    /// Sequences in flight.
    pub running: u32,
    /// Requests in the queue, by class, in the order of [`Priority::ALL`].
    pub waiting: [u32; Priority::ALL.len()],
    /// Tokens reserved by the sequences in flight: prompt and `max_tokens`.
    pub kv_reserved_tokens: u64,
    /// Token work not done yet, queue included: what a load balancer compares.
    pub outstanding_tokens: u64,
    /// How long a request that arrives now would wait.
    pub estimated_wait: Duration,
    /// Steps that the engine has done.
    pub steps: u64,
    /// Time since the last of them while sequences ran; zero when idle.
    pub since_last_step: Duration,
    /// Who has it for themselves, or will once it is drained.
    pub claim: Option<ClaimSnapshot>,
    /// Engines replaced after a failure.
    pub restarts: u32,
    /// Why it is `Failed`, or restarting.
    pub failure: Option<String>,
}

impl SchedulerSnapshot {
    /// A scheduler whose model is being loaded: it has nothing yet, and does nothing.
    #[must_use]
    pub fn starting(id: SchedulerId, model: ModelId, batch_size_max: u32) -> Self {
        Self {
            id,
            model,
            state: SchedulerState::Starting,
            description: None,
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

    /// Requests in the queue, all classes together.
    #[must_use]
    pub fn waiting_total(&self) -> u32 {
        self.waiting.iter().sum()
    }
}

/// A claim, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimSnapshot {
    /// Its number. It opens nothing by itself: only an operator's key may use it.
    pub token: FencingToken,
    /// Who holds it, for people to read.
    pub owner: String,
    /// When it was granted, by this process's clock, which means nothing elsewhere; `None`
    /// where a worker does not say.
    #[serde(skip)]
    pub granted: Option<Instant>,
    /// How long it lasts without a heartbeat.
    pub ttl: Duration,
}

/// Writes what an [`Arc`] points to; serde's own way needs a feature that every
/// crate of the workspace would have to be built with.
fn serialize_shared<S: Serializer>(
    description: &Option<Arc<ModelDescription>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    description.as_deref().serialize(serializer)
}

/// What a scheduler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerState {
    /// Its model is being loaded.
    Starting,
    /// It takes requests.
    Serving,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Someone has it for themselves: it takes only their requests.
    Claimed,
    /// Its engine failed; a fresh one may be on its way.
    Failed,
    /// It is gone for good.
    Stopped,
}

impl SchedulerState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Serving, Self::Draining, Self::Claimed, Self::Failed, Self::Stopped];

    /// As the API and metric labels spell it.
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
