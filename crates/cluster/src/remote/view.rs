//! A worker, for whoever only looks.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::{NodeState, NodeStatus};
use hostler_scheduler::{Scheduler, SchedulerSnapshot};
use tokio::sync::watch;

use super::{NodeHealth, RemoteNode, Schedulers};

/// What is known of a worker, now and as long as its [`RemoteNode`] is kept. Holding one
/// keeps nothing alive.
#[derive(Clone)]
pub struct NodeView {
    endpoint: Arc<str>,
    schedulers: watch::Receiver<Schedulers>,
    health: watch::Receiver<NodeHealth>,
}

impl NodeView {
    pub(super) fn new(node: &RemoteNode) -> Self {
        Self { endpoint: node.endpoint().into(), schedulers: node.schedulers(), health: node.health() }
    }

    /// How it fares at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> NodeStatus {
        let NodeHealth { name, version, mut failure, last_heartbeat } = self.health.borrow().clone();
        // Whoever kept the node has let it go, and with it the one who would tell.
        if self.health.has_changed().is_err() {
            failure = Some("it is no longer a member".to_owned());
        }
        let state = match (&failure, &name) {
            (None, _) => NodeState::Connected,
            (Some(_), None) => NodeState::Unreached,
            (Some(_), Some(_)) => NodeState::Lost,
        };
        NodeStatus {
            name,
            endpoint: Some(self.endpoint.to_string()),
            version,
            state,
            failure,
            last_heartbeat: last_heartbeat.map(|then| now.saturating_duration_since(then)),
            schedulers: self.schedulers.borrow().iter().map(|scheduler| scheduler.id().clone()).collect(),
        }
    }

    /// What its schedulers show, also those that have not served yet.
    #[must_use]
    pub fn snapshots(&self) -> Vec<SchedulerSnapshot> {
        self.schedulers.borrow().iter().map(|scheduler| scheduler.snapshot().borrow().clone()).collect()
    }
}
