//! The cluster as this gateway sees it: nodes, schedulers, claims.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use hostler_protocol::{NodeId, NodeStatus};
use hostler_scheduler::SchedulerSnapshot;
use serde::Serialize;

use crate::auth::Admin;
use crate::claims::ClaimShown;
use crate::operations::SchedulerBody;
use crate::shared::Shared;

/// What a gateway is told of the cluster that it is in. It reads what is known, and
/// asks nobody: it is called for each request, and must not wait.
pub trait ClusterView: Send + Sync {
    /// The name of this process.
    fn node(&self) -> NodeId;

    /// From where it knows the other nodes.
    fn membership(&self) -> Membership;

    /// The nodes that hold schedulers.
    fn nodes(&self) -> Vec<NodeStatus>;

    /// The schedulers of the nodes: also those that the router has not been given yet,
    /// because their models are still being loaded.
    fn schedulers(&self) -> Vec<SchedulerSnapshot>;
}

/// From where a gateway knows the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// They are this process and its children.
    InProcess,
    /// From its configuration.
    Static,
    /// From etcd.
    Etcd(EtcdStatus),
}

/// How a gateway and etcd get on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdStatus {
    /// Why it cannot be asked; `None` while it can.
    pub failure: Option<String>,
    /// For how long what is known of the members may be out of date; `None` while it is
    /// up to date.
    pub stale: Option<Duration>,
}

#[derive(Serialize)]
struct ClusterBody {
    object: &'static str,
    gateway: GatewayBody,
    nodes: Vec<NodeBody>,
    schedulers: Vec<PlacedScheduler>,
    claims: Vec<ClaimShown>,
}

#[derive(Serialize)]
struct GatewayBody {
    node: NodeId,
    version: &'static str,
    uptime_seconds: u64,
    membership: &'static str,
    /// Only with etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd: Option<EtcdBody>,
}

#[derive(Serialize)]
struct EtcdBody {
    reachable: bool,
    failure: Option<String>,
    stale_seconds: Option<f64>,
}

#[derive(Serialize)]
struct NodeBody {
    name: Option<NodeId>,
    endpoint: Option<String>,
    version: Option<String>,
    state: &'static str,
    failure: Option<String>,
    last_sign_of_life_seconds: Option<f64>,
    schedulers: Vec<String>,
}

/// A scheduler and where it is.
#[derive(Serialize)]
struct PlacedScheduler {
    node: Option<NodeId>,
    /// Whether the router has it.
    joined: bool,
    #[serde(flatten)]
    scheduler: SchedulerBody,
}

/// `GET /admin/cluster`
pub(crate) async fn cluster(shared: web::Data<Shared>, _: Admin) -> HttpResponse {
    let view = &*shared.cluster;
    let nodes = view.nodes();
    let joined = shared.router.schedulers();
    let is_joined = |known: &SchedulerSnapshot| joined.iter().any(|joined| joined.id == known.id);
    let others: Vec<_> = view.schedulers().into_iter().filter(|known| !is_joined(known)).collect();
    let claims = joined.iter().chain(&others).filter_map(ClaimShown::of).collect();
    let schedulers = joined.into_iter().map(|one| (true, one)).chain(others.into_iter().map(|one| (false, one)));
    let place = |(joined, scheduler): (bool, SchedulerSnapshot)| {
        let node = nodes.iter().find(|node| node.schedulers.contains(&scheduler.id));
        PlacedScheduler { node: node.and_then(|node| node.name.clone()), joined, scheduler: scheduler.into() }
    };
    let schedulers = schedulers.map(place).collect();
    let (membership, etcd) = match view.membership() {
        Membership::InProcess => ("in-process", None),
        Membership::Static => ("static", None),
        Membership::Etcd(status) => ("etcd", Some(EtcdBody::from(status))),
    };
    let gateway = GatewayBody {
        node: view.node(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: shared.started.elapsed().as_secs(),
        membership,
        etcd,
    };
    let nodes = nodes.into_iter().map(NodeBody::from).collect();
    HttpResponse::Ok().json(ClusterBody { object: "cluster", gateway, nodes, schedulers, claims })
}

impl From<EtcdStatus> for EtcdBody {
    fn from(status: EtcdStatus) -> Self {
        Self {
            reachable: status.failure.is_none(),
            failure: status.failure,
            stale_seconds: status.stale.map(|stale| stale.as_secs_f64()),
        }
    }
}

impl From<NodeStatus> for NodeBody {
    fn from(node: NodeStatus) -> Self {
        Self {
            name: node.name,
            endpoint: node.endpoint,
            version: node.version,
            state: node.state.as_str(),
            failure: node.failure,
            last_sign_of_life_seconds: node.last_heartbeat.map(|age| age.as_secs_f64()),
            schedulers: node.schedulers.iter().map(ToString::to_string).collect(),
        }
    }
}
