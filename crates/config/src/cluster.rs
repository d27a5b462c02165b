//! `[cluster]`: where gateways find workers; and `[worker]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::{DAY_SECONDS, ordered, seconds};
use crate::rules::{NAME_ALLOWED, is_name, is_socket, is_url, serves_other_machines, unpaired};
use crate::{ConfigError, Problem};

/// What the URL of a worker may be, for messages.
const WORKER_ALLOWED: &str = "http://HOST:PORT, https://HOST:PORT and unix:/PATH";

/// `[cluster]`: where a gateway finds its workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ClusterConfig {
    /// For `hostler gateway`: the workers whose schedulers it uses. The gateway keeps trying
    /// to connect to a worker that is not reachable.
    #[schemars(extend("x-allowed" = "a list of http://HOST:PORT, https://HOST:PORT and unix:/PATH"))]
    pub workers: Vec<String>,
    /// For a gateway: number of connections to each worker, shared by all streams. Each
    /// carries 4,000 streams.
    #[schemars(range(min = 1, max = 64))]
    pub connections: usize,
    /// For a gateway: a worker from which no message arrives for this long counts as lost;
    /// its requests end or are continued elsewhere. Workers send a heartbeat every second.
    #[serde(rename = "silence_seconds_max", with = "seconds")]
    #[schemars(with = "u64", range(min = 2, max = 600))]
    pub silence_max: Duration,
    /// `[cluster.tls]`: for `https` URLs.
    pub tls: ClusterTlsConfig,
    /// `[cluster.etcd]`, for gateways and workers.
    pub etcd: EtcdConfig,
}

/// `[cluster.tls]`: how a gateway verifies its workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ClusterTlsConfig {
    /// For a gateway: certificate of the authority that signs the certificates of workers
    /// with an https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub authority: Option<PathBuf>,
    /// For a gateway: the certificate that it presents to workers that ask for one.
    /// Requires cluster.tls.key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub certificate: Option<PathBuf>,
    /// For a gateway: the private key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub key: Option<PathBuf>,
    /// For a gateway: the name that the workers' certificates must have. Default: the host
    /// in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a host name"))]
    pub server_name: Option<String>,
}

/// `[cluster.etcd]`, which gateways and workers read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct EtcdConfig {
    /// The etcd cluster in which workers register and gateways find them, instead of
    /// cluster.workers. With it any number of gateways agree on claims. While etcd is
    /// unreachable, gateways keep using the last known workers.
    #[schemars(extend("x-allowed" = "a list of http://HOST:PORT and https://HOST:PORT"))]
    pub endpoints: Vec<String>,
    /// Prefix of this cluster's keys in etcd, so that several clusters can share one etcd.
    #[schemars(extend("x-allowed" = "/NAME"))]
    pub prefix: String,
    /// Time to live of a record in etcd after its writer is gone. The writer renews it three
    /// times in this period.
    #[serde(rename = "lease_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 2, max = 600))]
    pub lease: Duration,
    /// `[cluster.etcd.tls]`: for `https` endpoints.
    pub tls: EtcdTlsConfig,
}

/// `[cluster.etcd.tls]`: how etcd is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct EtcdTlsConfig {
    /// Certificate of the authority that signs the certificates of etcd, for https
    /// endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub authority: Option<PathBuf>,
    /// The certificate presented to an etcd that asks for one. Requires
    /// cluster.etcd.tls.key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub certificate: Option<PathBuf>,
    /// The private key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub key: Option<PathBuf>,
}

/// `[worker]`: a process that runs schedulers for gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct WorkerConfig {
    /// For `hostler worker`: address to which gateways connect. An address that other
    /// machines can reach requires tls.client_authority or open_to_everyone.
    #[schemars(extend("x-allowed" = "IP:PORT or unix:/PATH"))]
    pub listen: String,
    /// For a worker: whether every client that can connect may use the engines, also from
    /// other machines. Set it only if a private network or a firewall admits gateways alone.
    pub open_to_everyone: bool,
    /// For a worker with cluster.etcd: the address at which gateways reach it. Default:
    /// worker.listen; required if that is every address of the machine, such as 0.0.0.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "http://HOST:PORT, https://HOST:PORT or unix:/PATH"))]
    pub advertise: Option<String>,
    /// For a worker: its name, unique in the cluster; its schedulers are called
    /// NAME.SCHEDULER there. Default: the host name, and the port or the name of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "up to 63 of a-z, 0-9, - and _"))]
    pub name: Option<String>,
    /// For a worker: address on which it answers /livez, /readyz and /metrics over HTTP.
    /// Omitted: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("x-allowed" = "IP:PORT"))]
    pub http_address: Option<SocketAddr>,
    /// Maximum time that a worker waits for running requests when it shuts down.
    #[serde(rename = "drain_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = DAY_SECONDS))]
    pub drain_timeout: Duration,
    /// `[worker.tls]`: for gateways that connect by `https`.
    pub tls: WorkerTlsConfig,
}

/// `[worker.tls]`: how a worker authenticates itself, and gateways to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct WorkerTlsConfig {
    /// For a worker: the certificate that it presents to gateways, which then connect by
    /// https. Requires worker.tls.key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub certificate: Option<PathBuf>,
    /// For a worker: the private key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub key: Option<PathBuf>,
    /// For a worker: certificate of the authority that signs the certificates which gateways
    /// must present (mutual TLS). Without it every client that can connect is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub client_authority: Option<PathBuf>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            workers: Vec::new(),
            connections: 2,
            silence_max: Duration::from_secs(3),
            tls: ClusterTlsConfig::default(),
            etcd: EtcdConfig::default(),
        }
    }
}

impl Default for EtcdConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "/hostler".to_owned(),
            lease: Duration::from_secs(10),
            tls: EtcdTlsConfig::default(),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            open_to_everyone: false,
            advertise: None,
            name: None,
            http_address: None,
            drain_timeout: Duration::from_secs(30),
            tls: WorkerTlsConfig::default(),
        }
    }
}

impl EtcdConfig {
    /// Whether the cluster uses etcd.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.endpoints.is_empty()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for endpoint in &self.endpoints {
            if !is_url(endpoint) {
                let message =
                    format!("{endpoint:?} is not allowed; allowed are http://HOST:PORT and https://HOST:PORT");
                problems.push(Problem::new("cluster.etcd.endpoints", message));
            } else if endpoint.starts_with("https://") && self.tls.authority.is_none() {
                let message = format!("it is missing; without an authority {endpoint:?} cannot be verified");
                problems.push(Problem::new("cluster.etcd.tls.authority", message));
            } else if endpoint.starts_with("http://") && self.tls.authority.is_some() {
                let message =
                    format!("{endpoint:?} is not encrypted, but cluster.etcd.tls.authority is set; use https");
                problems.push(Problem::new("cluster.etcd.endpoints", message));
            }
        }
        if !self.prefix.starts_with('/') || self.prefix.len() < 2 || self.prefix.ends_with('/') {
            let message = format!("{:?} is not allowed; allowed is /NAME, without a final /", self.prefix);
            problems.push(Problem::new("cluster.etcd.prefix", message));
        }
        problems.extend(unpaired("cluster.etcd.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        problems
    }
}

impl ClusterConfig {
    /// What is wrong beyond ranges.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.etcd.problems();
        if self.etcd.is_used() && !self.workers.is_empty() {
            let message = "set either this list or cluster.etcd.endpoints, not both";
            problems.push(Problem::new("cluster.workers", message));
        }
        for (index, worker) in self.workers.iter().enumerate() {
            if !is_url(worker) && !is_socket(worker) {
                let message = format!("{worker:?} is not allowed; allowed are {WORKER_ALLOWED}");
                problems.push(Problem::new("cluster.workers", message));
            } else if self.workers[..index].contains(worker) {
                problems.push(Problem::new("cluster.workers", format!("{worker:?} is listed twice")));
            }
            if worker.starts_with("https://") && self.tls.authority.is_none() {
                let message = format!("it is missing; without an authority {worker:?} cannot be verified");
                problems.push(Problem::new("cluster.tls.authority", message));
            }
        }
        problems.extend(unpaired("cluster.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        problems
    }
}

impl WorkerConfig {
    /// What is wrong beyond ranges.
    pub(crate) fn problems(&self, etcd: &EtcdConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String| problems.push(Problem::new(format!("worker.{key}"), message));
        let address = self.listen.parse::<SocketAddr>();
        let everywhere = address.as_ref().is_ok_and(|address| address.ip().is_unspecified());
        if etcd.is_used() && everywhere && self.advertise.is_none() {
            let message = format!(
                "it is missing: {:?} is every address of this machine, and gateways need one, such as http://10.0.0.2:7070",
                self.listen
            );
            refuse("advertise", message);
        }
        if address.is_err() && !is_socket(&self.listen) {
            refuse("listen", format!("{:?} is not allowed; allowed are IP:PORT and unix:/PATH", self.listen));
        }
        if let Some(advertise) = self.advertise.as_ref().filter(|url| !is_url(url) && !is_socket(url)) {
            refuse("advertise", format!("{advertise:?} is not allowed; allowed are {WORKER_ALLOWED}"));
        }
        if self.name.as_ref().is_some_and(|name| !is_name(name)) {
            refuse("name", NAME_ALLOWED.to_owned());
        }
        if self.tls.client_authority.is_some() && self.tls.certificate.is_none() {
            let message = "it is missing; a worker that verifies gateways needs a certificate of its own";
            refuse("tls.certificate", message.to_owned());
        }
        problems.extend(unpaired("worker.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        problems
    }
    /// Refuses to serve other machines without mutual TLS.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn check_exposure(&self) -> Result<(), ConfigError> {
        let exposed = self.listen.parse().is_ok_and(|address| serves_other_machines(&address));
        if self.open_to_everyone || self.tls.client_authority.is_some() || !exposed {
            return Ok(());
        }
        let message = format!(
            "{} can be reached from other machines, and gateways are not verified: set worker.tls.client_authority, \
             or worker.open_to_everyone = true to let every client that can connect use the engines",
            self.listen
        );
        Err(ConfigError::Invalid(vec![Problem::new("worker.listen", message)]))
    }
}
