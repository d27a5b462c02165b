//! A fake of what the gateway knows of its cluster.

use hostler_gateway::{ClusterView, Directory};
use hostler_protocol::{NodeId, NodeStatus};
use hostler_scheduler::SchedulerSnapshot;

/// A cluster with the content that a test defines.
pub(crate) struct FakeView {
    pub(crate) directory: Directory,
    pub(crate) nodes: Vec<NodeStatus>,
    pub(crate) schedulers: Vec<SchedulerSnapshot>,
}

/// A cluster without other nodes.
impl Default for FakeView {
    fn default() -> Self {
        Self { directory: Directory { name: "in-process", status: None }, nodes: Vec::new(), schedulers: Vec::new() }
    }
}

impl ClusterView for FakeView {
    fn node(&self) -> NodeId {
        "gateway-1".into()
    }

    fn directory(&self) -> Directory {
        self.directory.clone()
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        self.nodes.clone()
    }

    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.schedulers.clone()
    }
}
