//! What `GET /admin/cluster` says, as much of it as people are shown. What another
//! release leaves out is empty.

use serde::Deserialize;

/// The cluster, as a gateway sees it.
#[derive(Debug, Deserialize)]
pub(super) struct Cluster {
    /// No other server's answer has it.
    pub(super) gateway: Gateway,
    #[serde(default)]
    pub(super) nodes: Vec<Node>,
    #[serde(default)]
    pub(super) schedulers: Vec<Scheduler>,
    #[serde(default)]
    pub(super) claims: Vec<Claim>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Gateway {
    pub(super) node: String,
    pub(super) version: String,
    pub(super) uptime_seconds: f64,
    pub(super) membership: String,
    pub(super) etcd: Option<Etcd>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Etcd {
    pub(super) failure: Option<String>,
    pub(super) stale_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) name: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) version: Option<String>,
    pub(super) state: String,
    pub(super) failure: Option<String>,
    pub(super) last_sign_of_life_seconds: Option<f64>,
    pub(super) schedulers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scheduler {
    pub(super) id: String,
    pub(super) node: Option<String>,
    pub(super) joined: bool,
    pub(super) model: String,
    pub(super) engine: Option<String>,
    pub(super) device: Option<String>,
    pub(super) state: String,
    pub(super) batch_size_max: u32,
    pub(super) running: u32,
    pub(super) waiting: Waiting,
    pub(super) kv_reserved_tokens: u64,
    pub(super) kv_capacity_tokens: Option<u64>,
    pub(super) estimated_wait_ms: f64,
    pub(super) restarts: u32,
    pub(super) failure: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) interactive: u32,
    pub(super) default: u32,
    pub(super) batch: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Claim {
    pub(super) token: u64,
    pub(super) scheduler: String,
    pub(super) owner: String,
    pub(super) ttl_seconds: f64,
    pub(super) age_seconds: Option<f64>,
    pub(super) claimed: bool,
}
