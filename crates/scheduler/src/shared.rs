//! What a scheduler's handles and its supervisor share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hostler_protocol::RequestError;
use parking_lot::RwLock;

use crate::SchedulerConfig;
use crate::incarnation::Incarnation;
use crate::metrics::SchedulerMetrics;
use crate::publisher::SnapshotPublisher;
use crate::state::not_serving;

/// Outlives every incarnation of the scheduler.
pub(crate) struct Shared {
    pub(crate) config: SchedulerConfig,
    pub(crate) publisher: Arc<SnapshotPublisher>,
    pub(crate) metrics: Arc<SchedulerMetrics>,
    /// Whether the next engine must not admit requests either.
    pub(crate) draining: AtomicBool,
    incarnation: RwLock<Option<Arc<Incarnation>>>,
}

impl Shared {
    pub(crate) fn new(
        config: SchedulerConfig,
        publisher: Arc<SnapshotPublisher>,
        metrics: Arc<SchedulerMetrics>,
    ) -> Self {
        Self { config, publisher, metrics, draining: AtomicBool::new(false), incarnation: RwLock::new(None) }
    }

    pub(crate) fn set_incarnation(&self, incarnation: Option<Arc<Incarnation>>) {
        *self.incarnation.write() = incarnation;
    }

    /// The current engine and actor.
    pub(crate) fn incarnation(&self) -> Result<Arc<Incarnation>, RequestError> {
        let current = self.incarnation.read().clone();
        current.ok_or_else(|| not_serving(self.publisher.subscribe().borrow().state))
    }
}
