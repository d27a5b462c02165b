//! What the process around the gateway tells it about the cluster.

use std::time::Duration;

use hostler_protocol::{NodeId, NodeStatus};
use hostler_scheduler::SchedulerSnapshot;

/// The cluster as this process knows it. Every method returns what is already known: they
/// are called for each request and must not block.
pub trait ClusterView: Send + Sync {
    /// The name of this process.
    fn node(&self) -> NodeId;

    /// Where the list of nodes comes from.
    fn directory(&self) -> Directory;

    /// The nodes that run schedulers.
    fn nodes(&self) -> Vec<NodeStatus>;

    /// The schedulers of the nodes, including those that have not joined the router yet
    /// because their models are still loading.
    fn schedulers(&self) -> Vec<SchedulerSnapshot>;
}

/// Where a gateway gets its list of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its name, as clients see it.
    pub name: &'static str,
    /// Whether it is reachable; `None` for a list that is part of this process.
    pub status: Option<DirectoryStatus>,
}

/// Whether a directory outside of this process is reachable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// Why it cannot be reached; `None` while it can.
    pub failure: Option<String>,
    /// For how long the list may have been out of date; `None` while it is up to date.
    pub stale: Option<Duration>,
}
