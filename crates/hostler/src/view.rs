//! The cluster as this process sees it, for `GET /admin/cluster`.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hostler_cluster::NodeView;
use hostler_cluster::membership::{EtcdHealth, KnownMember, KnownMembers};
use hostler_gateway::{ClusterView, Directory, DirectoryStatus};
use hostler_protocol::{NodeId, NodeState, NodeStatus, SchedulerId};
use hostler_scheduler::SchedulerSnapshot;
use tokio::sync::watch;

use crate::schedulers::Running;
use crate::telemetry::machine_name;

/// `hostler serve`: this process, and a child process for each isolated scheduler.
#[derive(Default)]
pub(crate) struct OneMachine(OnceLock<Held>);

/// The schedulers of this process, and its child processes.
struct Held {
    here: Vec<SchedulerId>,
    children: Vec<NodeView>,
}

impl OneMachine {
    /// Adds the schedulers once they are started; HTTP is served before that.
    pub(crate) fn show(&self, running: &Running) {
        // `serve` calls this once.
        self.0.get_or_init(|| Held { here: running.here(), children: running.children() });
    }
}

impl ClusterView for OneMachine {
    fn node(&self) -> NodeId {
        machine_name().into()
    }

    fn directory(&self) -> Directory {
        Directory { name: "in-process", status: None }
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        let held = self.0.get();
        let own = NodeStatus {
            name: Some(self.node()),
            endpoint: None,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            state: NodeState::Connected,
            failure: None,
            last_heartbeat: Some(Duration::ZERO),
            schedulers: held.map(|held| held.here.clone()).unwrap_or_default(),
        };
        let now = Instant::now();
        let children = held.into_iter().flat_map(|held| &held.children);
        [own].into_iter().chain(children.map(|child| child.status(now))).collect()
    }

    /// The router knows all of them from the start.
    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        Vec::new()
    }
}

/// `hostler gateway`, with the workers of its configuration or of etcd.
pub(crate) struct Workers {
    pub(crate) known: watch::Receiver<KnownMembers>,
    /// The health of etcd, if workers register there.
    pub(crate) etcd: Option<watch::Receiver<EtcdHealth>>,
}

impl Workers {
    /// The state of the connection, completed by the record in etcd until the worker has been
    /// reached.
    fn status(&self, one: &KnownMember, now: Instant) -> NodeStatus {
        let mut status = one.node.view().status(now);
        // The configuration lists endpoints only; records in etcd have names.
        if self.etcd.is_some() {
            status.name.get_or_insert_with(|| one.name.as_str().into());
            status.version.get_or_insert_with(|| one.member.version.clone());
        }
        if one.retired && status.state == NodeState::Connected {
            status.state = NodeState::Leaving;
        }
        status
    }
}

impl ClusterView for Workers {
    fn node(&self) -> NodeId {
        machine_name().into()
    }

    fn directory(&self) -> Directory {
        let Some(health) = &self.etcd else { return Directory { name: "static", status: None } };
        let EtcdHealth { failure, since } = health.borrow().clone();
        // While etcd is reachable, it reports every change.
        let stale = failure.is_some().then(|| since.elapsed());
        Directory { name: "etcd", status: Some(DirectoryStatus { failure, stale }) }
    }

    fn nodes(&self) -> Vec<NodeStatus> {
        let now = Instant::now();
        self.known.borrow().iter().map(|one| self.status(one, now)).collect()
    }

    fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.known.borrow().iter().flat_map(|one| one.node.view().snapshots()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hostler_cluster::membership::Member;
    use hostler_cluster::{RemoteNode, RemoteOptions};

    use super::*;

    /// A worker that is never reached.
    fn known() -> watch::Receiver<KnownMembers> {
        let endpoint = "unix:/no/such/worker.sock";
        let node = RemoteNode::connect(endpoint, &RemoteOptions::default()).expect("it is an endpoint");
        let member = Member { version: "0.1.0".to_owned(), ..Member::at(endpoint) };
        let one = KnownMember { name: "w1".to_owned(), member, retired: false, node: Arc::new(node) };
        watch::channel(KnownMembers::from([one])).1
    }

    #[tokio::test]
    async fn only_etcd_knows_the_name_of_a_worker_that_was_never_reached() {
        let listed = Workers { known: known(), etcd: None };
        assert_eq!((listed.directory().name, listed.nodes()[0].name.clone()), ("static", None));
        let away = EtcdHealth { failure: Some("refused".to_owned()), since: Instant::now() };
        let (health, etcd) = watch::channel(away);
        let workers = Workers { known: known(), etcd: Some(etcd) };
        let node = workers.nodes().remove(0);
        assert_eq!((node.name, node.version), (Some("w1".into()), Some("0.1.0".to_owned())));
        assert_eq!(node.state, NodeState::Unreached);
        let directory = workers.directory();
        assert_eq!(directory.name, "etcd");
        let Some(DirectoryStatus { failure: Some(why), stale: Some(_) }) = directory.status else {
            panic!("it is unreachable: {directory:?}");
        };
        assert_eq!(why, "refused");
        health.send_replace(EtcdHealth { failure: None, since: Instant::now() });
        assert_eq!(workers.directory().status, Some(DirectoryStatus::default()));
    }
}
