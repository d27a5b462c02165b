//! The bodies of the admin API, for the gateway and its clients. Clients read the bodies of
//! other releases too: a field that a body lacks has its default value.

use hostler_protocol::{NodeStatus, Priority};
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use serde::{Deserialize, Serialize};

use crate::cluster::DirectoryStatus;
use crate::http::timing::milliseconds;

/// `GET /admin/cluster`
#[derive(Debug, Serialize, Deserialize)]
pub struct ClusterBody {
    /// `cluster`
    #[serde(skip_deserializing)]
    pub object: &'static str,
    /// The gateway that responds. Required, because the responses of other servers lack it.
    pub gateway: GatewayBody,
    /// The nodes that run schedulers.
    #[serde(default)]
    pub nodes: Vec<NodeBody>,
    /// All schedulers.
    #[serde(default)]
    pub schedulers: Vec<PlacedSchedulerBody>,
    /// The claims on them.
    #[serde(default)]
    pub claims: Vec<ClaimBody>,
}

/// A gateway, and where its list of nodes comes from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayBody {
    /// The node's name.
    pub node: String,
    /// Its release.
    pub version: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The name of its directory: `in-process`, `static` or `etcd`.
    pub membership: String,
    /// The state of a directory outside of the process. `etcd` is the only one, so this
    /// is the field's name in JSON.
    #[serde(rename = "etcd", skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryBody>,
}

/// The state of a directory outside of the process.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DirectoryBody {
    /// Whether it can be reached.
    pub reachable: bool,
    /// Why it cannot be reached.
    pub failure: Option<String>,
    /// For how long the list of nodes may have been out of date; `null` while it is up to date.
    pub stale_seconds: Option<f64>,
}

impl From<DirectoryStatus> for DirectoryBody {
    fn from(status: DirectoryStatus) -> Self {
        Self {
            reachable: status.failure.is_none(),
            failure: status.failure,
            stale_seconds: status.stale.map(|stale| stale.as_secs_f64()),
        }
    }
}

/// A node that runs schedulers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeBody {
    /// Its name, once it is known.
    pub name: Option<String>,
    /// Its address; `null` for the gateway's own process.
    pub endpoint: Option<String>,
    /// Its release, once it is known.
    pub version: Option<String>,
    /// `unreached`, `connected`, `leaving` or `lost`.
    pub state: String,
    /// Why it is not connected.
    pub failure: Option<String>,
    /// Time since its last heartbeat.
    pub last_sign_of_life_seconds: Option<f64>,
    /// The ids of its schedulers.
    pub schedulers: Vec<String>,
}

impl From<NodeStatus> for NodeBody {
    fn from(node: NodeStatus) -> Self {
        Self {
            name: node.name.map(|name| name.to_string()),
            endpoint: node.endpoint,
            version: node.version,
            state: node.state.as_str().to_owned(),
            failure: node.failure,
            last_sign_of_life_seconds: node.last_heartbeat.map(|age| age.as_secs_f64()),
            schedulers: node.schedulers.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A scheduler and the node that it runs on.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlacedSchedulerBody {
    /// The node's name.
    pub node: Option<String>,
    /// Whether it has joined the router.
    pub joined: bool,
    /// The scheduler.
    #[serde(flatten)]
    pub scheduler: SchedulerBody,
}

/// A scheduler's state and load, as in `GET /admin/schedulers`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerBody {
    /// Its name.
    pub id: String,
    /// The model that it serves.
    pub model: String,
    /// `starting`, `serving`, `draining`, `claimed`, `failed` or `stopped`.
    pub state: String,
    /// The engine, once the model is loaded.
    pub engine: Option<String>,
    /// The device, once the model is loaded.
    pub device: Option<String>,
    /// Most sequences in flight.
    pub batch_size_max: u32,
    /// Sequences in flight.
    pub running: u32,
    /// Requests in the queue.
    pub waiting: WaitingBody,
    /// Tokens reserved in the KV cache.
    pub kv_reserved_tokens: u64,
    /// The size of the KV cache, once the model is loaded.
    pub kv_capacity_tokens: Option<u64>,
    /// Tokens of all requests that are not yet processed.
    pub outstanding_tokens: u64,
    /// How long a request that arrives now would wait.
    pub estimated_wait_ms: f64,
    /// Steps of the engine so far.
    pub steps: u64,
    /// Time since the last step while sequences run; 0 when idle.
    pub since_last_step_ms: f64,
    /// Restarts of the engine after failures.
    pub restarts: u32,
    /// Why it failed.
    pub failure: Option<String>,
    /// The claim on it.
    pub claim: Option<SchedulerClaimBody>,
}

/// The queue by priority class.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingBody {
    /// Requests of class `interactive`.
    pub interactive: u32,
    /// Requests of class `default`.
    pub default: u32,
    /// Requests of class `batch`.
    pub batch: u32,
}

/// The claim that a scheduler is held under, or will be once it is drained.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerClaimBody {
    /// Its fencing token.
    pub token: u64,
    /// Its owner.
    pub owner: String,
    /// How long it lasts without a heartbeat.
    pub ttl_seconds: f64,
}

impl From<SchedulerSnapshot> for SchedulerBody {
    fn from(snapshot: SchedulerSnapshot) -> Self {
        let waiting = |class: Priority| {
            let index = Priority::ALL.iter().position(|&other| other == class);
            index.map_or(0, |index| snapshot.waiting[index])
        };
        let description = snapshot.description.as_deref();
        Self {
            id: snapshot.id.to_string(),
            model: snapshot.model.to_string(),
            state: snapshot.state.as_str().to_owned(),
            engine: description.map(|description| description.engine.as_str().to_owned()),
            device: description.map(|description| description.device.clone()),
            batch_size_max: snapshot.batch_size_max,
            running: snapshot.running,
            waiting: WaitingBody {
                interactive: waiting(Priority::Interactive),
                default: waiting(Priority::Default),
                batch: waiting(Priority::Batch),
            },
            kv_reserved_tokens: snapshot.kv_reserved_tokens,
            kv_capacity_tokens: description.map(|description| description.kv_capacity_tokens),
            outstanding_tokens: snapshot.outstanding_tokens,
            estimated_wait_ms: milliseconds(snapshot.estimated_wait),
            steps: snapshot.steps,
            since_last_step_ms: milliseconds(snapshot.since_last_step),
            restarts: snapshot.restarts,
            failure: snapshot.failure,
            claim: snapshot.claim.map(|claim| SchedulerClaimBody {
                token: claim.token.0,
                owner: claim.owner,
                ttl_seconds: claim.ttl.as_secs_f64(),
            }),
        }
    }
}

/// A claim, as in `GET /admin/claims`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimBody {
    /// `claim`
    #[serde(skip_deserializing)]
    pub object: &'static str,
    /// Its fencing token.
    pub token: u64,
    /// The claimed scheduler.
    pub scheduler: String,
    /// The model that the scheduler serves.
    pub model: String,
    /// Its owner.
    pub owner: String,
    /// How long it lasts without a heartbeat.
    pub ttl_seconds: f64,
    /// Time since it was granted, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Whether the scheduler has finished all requests of others.
    pub claimed: bool,
    /// How long that took; only in the response to a claim that waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_seconds: Option<f64>,
}

impl ClaimBody {
    /// The claim on a scheduler, as the scheduler reports it.
    pub(super) fn of(snapshot: &SchedulerSnapshot) -> Option<Self> {
        let claim = snapshot.claim.as_ref()?;
        Some(Self {
            object: "claim",
            token: claim.token.0,
            scheduler: snapshot.id.to_string(),
            model: snapshot.model.to_string(),
            owner: claim.owner.clone(),
            ttl_seconds: claim.ttl.as_secs_f64(),
            age_seconds: claim.granted.map(|granted| granted.elapsed().as_secs_f64()),
            claimed: snapshot.state == SchedulerState::Claimed,
            drain_seconds: None,
        })
    }
}
