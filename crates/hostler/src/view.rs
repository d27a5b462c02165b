//! The cluster as this process sees it: what `GET /admin/cluster` shows.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hostler_cluster::NodeView;
use hostler_gateway::{ClusterView, Membership};
use hostler_protocol::{NodeId, NodeState, NodeStatus, SchedulerId};
use hostler_scheduler::SchedulerSnapshot;

use crate::schedulers::Running;
use crate::telemetry::machine_name;

/// `hostler serve`: this process, and one for each isolated scheduler.
#[derive(Default)]
pub(crate) struct OneMachine(OnceLock<Held>);

/// Who holds the schedulers.
struct Held {
    here: Vec<SchedulerId>,
    children: Vec<NodeView>,
}

impl OneMachine {
    /// The schedulers have been started. HTTP is served before that.
    pub(crate) fn show(&self, running: &Running) {
        // They are started once.
        self.0.get_or_init(|| Held { here: running.here(), children: running.children() });
    }
}

impl ClusterView for OneMachine {
    fn node(&self) -> NodeId {
        machine_name().into()
    }

    fn membership(&self) -> Membership {
        Membership::InProcess
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        let held = self.0.get();
        let own = NodeStatus {
            name: Some(self.node()),
            endpoint: None,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            state: NodeState::Connected,
            failure: None,
            last_sign_of_life: Some(Duration::ZERO),
            schedulers: held.map(|held| held.here.clone()).unwrap_or_default(),
        };
        let now = Instant::now();
        let children = held.into_iter().flat_map(|held| &held.children);
        [own].into_iter().chain(children.map(|child| child.status(now))).collect()
    }

    /// The router has them all from the start.
    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        Vec::new()
    }
}

/// `hostler gateway`, with the workers of its configuration.
pub(crate) struct StaticWorkers(pub(crate) Vec<NodeView>);

impl ClusterView for StaticWorkers {
    fn node(&self) -> NodeId {
        machine_name().into()
    }

    fn membership(&self) -> Membership {
        Membership::Static
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        let now = Instant::now();
        self.0.iter().map(|worker| worker.status(now)).collect()
    }

    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.0.iter().flat_map(NodeView::snapshots).collect()
    }
}
