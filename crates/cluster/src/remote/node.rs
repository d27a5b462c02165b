//! One worker, as its owner holds it, and as those see it that only read its state.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::{NodeState, NodeStatus};
use hostler_scheduler::{Scheduler, SchedulerSnapshot};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::link::Link;
use super::options::{EndpointError, RemoteOptions};
use super::watcher::{NodeHealth, Schedulers, Watcher};

/// One worker. Dropping it disconnects: its schedulers here are `Stopped`, and requests that
/// still run there run to their ends.
pub struct RemoteNode {
    link: Arc<Link>,
    schedulers: watch::Receiver<Schedulers>,
    health: watch::Receiver<NodeHealth>,
    watcher: AbortHandle,
}

impl RemoteNode {
    /// Connects to a worker, and reconnects for as long as the node exists, from tasks of the
    /// runtime in which it is called. [`health`](Self::health) shows whether it is connected.
    ///
    /// # Errors
    /// The endpoint is malformed, or needs TLS that is not configured.
    pub fn connect(endpoint: &str, options: &RemoteOptions) -> Result<Self, EndpointError> {
        let link = Arc::new(Link::new(endpoint, options)?);
        let (watcher, schedulers, health) = Watcher::new(Arc::clone(&link), options);
        let watcher = tokio::spawn(watcher.run()).abort_handle();
        Ok(Self { link, schedulers, health, watcher })
    }

    /// The endpoint as configured.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.link.endpoint()
    }

    /// Its schedulers: empty until it has been reached once. They stay while it is lost.
    #[must_use]
    pub fn schedulers(&self) -> watch::Receiver<Schedulers> {
        self.schedulers.clone()
    }

    /// Reports that the worker is lost before its connection shows it. It recovers with the next
    /// heartbeat.
    pub(crate) fn fail(&self, why: &str) {
        // In this order, so that a caller that is cut off sees the schedulers as failed.
        self.schedulers.borrow().iter().for_each(|scheduler| scheduler.failed(why));
        self.link.cut_off(why);
    }

    /// Reports that the worker is leaving before its schedulers show it: they get no new requests.
    pub(crate) fn retire(&self) {
        self.schedulers.borrow().iter().for_each(|scheduler| scheduler.retire());
    }

    /// Whether it is connected.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<NodeHealth> {
        self.health.clone()
    }

    /// A read-only view.
    #[must_use]
    pub fn view(&self) -> NodeView {
        NodeView { endpoint: self.endpoint().into(), schedulers: self.schedulers(), health: self.health() }
    }
}

impl Drop for RemoteNode {
    fn drop(&mut self) {
        self.watcher.abort();
        self.link.close("the worker is no longer a member");
        for scheduler in self.schedulers.borrow().iter() {
            scheduler.stopped();
        }
    }
}

/// A read-only view of a [`RemoteNode`]. It does not keep the node alive.
#[derive(Clone)]
pub struct NodeView {
    endpoint: Arc<str>,
    schedulers: watch::Receiver<Schedulers>,
    health: watch::Receiver<NodeHealth>,
}

impl NodeView {
    /// Its status at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> NodeStatus {
        let NodeHealth { name, version, mut failure, last_heartbeat } = self.health.borrow().clone();
        // The node was dropped, and its watcher with it.
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

    /// The snapshots of its schedulers, including those that have not served yet.
    #[must_use]
    pub fn snapshots(&self) -> Vec<SchedulerSnapshot> {
        self.schedulers.borrow().iter().map(|scheduler| scheduler.snapshot().borrow().clone()).collect()
    }
}
