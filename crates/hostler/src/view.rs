//! The cluster as this process sees it: what `GET /admin/cluster` shows.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hostler_cluster::NodeView;
use hostler_cluster::membership::{EtcdHealth, KnownMember, KnownMembers};
use hostler_gateway::{ClusterView, EtcdStatus, Membership};
use hostler_protocol::{NodeId, NodeState, NodeStatus, SchedulerId};
use hostler_scheduler::SchedulerSnapshot;
use tokio::sync::watch;

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

/// `hostler gateway`: the workers that it knows.
pub(crate) struct Workers {
    pub(crate) known: watch::Receiver<KnownMembers>,
    /// How etcd fares, if it is from there that they are known.
    pub(crate) etcd: Option<watch::Receiver<EtcdHealth>>,
}

impl ClusterView for Workers {
    fn node(&self) -> NodeId {
        machine_name().into()
    }

    fn membership(&self) -> Membership {
        let Some(etcd) = &self.etcd else { return Membership::Static };
        let EtcdHealth { failure, since } = etcd.borrow().clone();
        let stale = failure.is_some().then(|| since.elapsed());
        Membership::Etcd(EtcdStatus { failure, stale })
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        let now = Instant::now();
        let status = |worker: &KnownMember| {
            let mut status = worker.node.view().status(now);
            if self.etcd.is_some() {
                status.name.get_or_insert_with(|| worker.name.as_str().into());
            }
            if worker.retired && status.state == NodeState::Connected {
                status.state = NodeState::Leaving;
            }
            status
        };
        self.known.borrow().iter().map(status).collect()
    }

    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.known.borrow().iter().flat_map(|worker| worker.node.view().snapshots()).collect()
    }
}
