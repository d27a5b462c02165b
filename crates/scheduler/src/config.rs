//! What a scheduler is told about itself.

use hostler_config::{BatchingConfig, NamedScheduler, QueueConfig, RecoveryConfig, SchedulerSpec};
use hostler_protocol::{ModelId, SchedulerId};

/// The configuration of one scheduler, as far as the scheduler itself needs it: what its
/// engine loads is not its concern.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// Its name, unique in the cluster.
    pub id: SchedulerId,
    /// The name under which its model is served.
    pub model: ModelId,
    /// Maximum number of sequences in flight, at least 1. The engine's own limit applies too.
    pub max_batch_size: u32,
    /// Which requests wait, and for how long.
    pub queue: QueueConfig,
    /// Which sequences run together.
    pub batching: BatchingConfig,
    /// What happens when the engine fails.
    pub recovery: RecoveryConfig,
}

impl SchedulerConfig {
    /// The defaults, for a scheduler and a model of these names.
    #[must_use]
    pub fn new(id: impl Into<SchedulerId>, model: impl Into<ModelId>) -> Self {
        Self::from_spec(id.into(), model.into(), &SchedulerSpec::default())
    }

    /// A configured scheduler, which serves its model as `model`.
    #[must_use]
    pub fn of(scheduler: &NamedScheduler, model: ModelId) -> Self {
        Self::from_spec(scheduler.name.as_str().into(), model, &scheduler.spec)
    }

    fn from_spec(id: SchedulerId, model: ModelId, spec: &SchedulerSpec) -> Self {
        Self {
            id,
            model,
            max_batch_size: spec.max_batch_size,
            queue: spec.queue.clone(),
            batching: spec.batching.clone(),
            recovery: spec.recovery.clone(),
        }
    }
}
