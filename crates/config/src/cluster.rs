//! `[cluster]`, which a gateway reads, and `[worker]`. [`crate::KEYS`] says what each
//! key means and allows.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::check::{NAME_REFUSED, is_name};

/// `[cluster]`: where a gateway's workers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// The workers' URLs.
    pub workers: Vec<String>,
    /// Where workers say that they are there, instead.
    pub etcd: EtcdSettings,
    /// Connections to each.
    pub connections: u32,
    /// A worker that says nothing for so long is lost, in seconds.
    pub silence_seconds_max: u64,
    /// For `https` URLs.
    pub tls: ClusterTlsSettings,
}

/// `[cluster.etcd]`, which gateways and workers read
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdSettings {
    /// The members of the etcd cluster; empty: there is none.
    pub endpoints: Vec<String>,
    /// What the keys begin with.
    pub prefix: String,
    /// How long a record lasts without its writer, in seconds.
    pub lease_seconds: u64,
    /// For `https` endpoints.
    pub tls: EtcdTlsSettings,
}

/// `[cluster.etcd.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EtcdTlsSettings {
    /// The authority that vouches for etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// This process's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// `[cluster.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterTlsSettings {
    /// The authority that vouches for workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// The gateway's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name that workers' certificates have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// `[worker]`: a process that holds schedulers for gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Where gateways connect.
    pub listen: String,
    /// Where gateways find it, as etcd tells them; `None`: where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// Its name; `None`: the machine's, and the port or the socket's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where probes and metrics are answered; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_address: Option<SocketAddr>,
    /// How long a shutdown waits for running requests, in seconds.
    pub drain_timeout_seconds: u64,
    /// For gateways that use `https`.
    pub tls: WorkerTlsSettings,
}

/// `[worker.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerTlsSettings {
    /// The worker's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The authority whose certificates gateways must show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_authority: Option<PathBuf>,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            workers: Vec::new(),
            etcd: EtcdSettings::default(),
            connections: 2,
            silence_seconds_max: 3,
            tls: ClusterTlsSettings::default(),
        }
    }
}

impl Default for EtcdSettings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "/hostler".to_owned(),
            lease_seconds: 10,
            tls: EtcdTlsSettings::default(),
        }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            advertise: None,
            name: None,
            http_address: None,
            drain_timeout_seconds: 30,
            tls: WorkerTlsSettings::default(),
        }
    }
}

fn problem(key: &str, message: impl Into<String>) -> Problem {
    Problem { key: key.to_owned(), origin: None, message: message.into() }
}

/// A certificate without its key, or a key without its certificate.
fn unpaired(section: &str, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<Problem> {
    let missing = match (certificate, key) {
        (Some(_), None) => "key",
        (None, Some(_)) => "certificate",
        _ => return None,
    };
    let (missing, other) = (format!("{section}.{missing}"), if missing == "key" { "certificate" } else { "key" });
    Some(problem(&missing, format!("it is missing, and {section}.{other} is of no use without it")))
}

/// `unix:/PATH`, with nothing left out.
fn is_socket(text: &str) -> bool {
    text.strip_prefix("unix:").is_some_and(|path| Path::new(path).is_absolute())
}

/// `http://HOST:PORT`, or the same with TLS.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let port = rest.and_then(|rest| rest.rsplit_once(':')).map(|(host, port)| (host, port.parse::<u16>()));
    matches!(port, Some((host, Ok(_))) if !host.is_empty() && !host.contains('/'))
}

impl EtcdSettings {
    /// Whether there is an etcd.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.endpoints.is_empty()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for endpoint in &self.endpoints {
            if !is_url(endpoint) {
                let message =
                    format!("{endpoint:?} is no URL of etcd; allowed are http://HOST:PORT and https://HOST:PORT");
                problems.push(problem("cluster.etcd.endpoints", message));
            } else if endpoint.starts_with("https://") && self.tls.authority.is_none() {
                let message = format!("it is missing, and {endpoint:?} has TLS: somebody must vouch for it");
                problems.push(problem("cluster.etcd.tls.authority", message));
            } else if endpoint.starts_with("http://") && self.tls.authority.is_some() {
                let message = format!("{endpoint:?} has no TLS, and cluster.etcd.tls.authority asks for it");
                problems.push(problem("cluster.etcd.endpoints", message));
            }
        }
        if !self.prefix.starts_with('/') || self.prefix.len() < 2 || self.prefix.ends_with('/') {
            let message = format!("{:?} is no prefix; allowed is /NAME, without a / at its end", self.prefix);
            problems.push(problem("cluster.etcd.prefix", message));
        }
        problems.extend(unpaired("cluster.etcd.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        problems
    }
}

impl ClusterSettings {
    /// What is wrong with it that ranges cannot say.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.etcd.problems();
        if self.etcd.is_used() && !self.workers.is_empty() {
            let message = "workers come from this list or from cluster.etcd.endpoints, not from both";
            problems.push(problem("cluster.workers", message));
        }
        for (index, worker) in self.workers.iter().enumerate() {
            if !is_url(worker) && !is_socket(worker) {
                let message = format!(
                    "{worker:?} is no worker's URL; allowed are http://HOST:PORT, https://HOST:PORT and unix:/PATH"
                );
                problems.push(problem("cluster.workers", message));
            } else if self.workers[..index].contains(worker) {
                problems.push(problem("cluster.workers", format!("{worker:?} stands there twice")));
            }
            if worker.starts_with("https://") && self.tls.authority.is_none() {
                let message = format!("it is missing, and {worker:?} has TLS: somebody must vouch for it");
                problems.push(problem("cluster.tls.authority", message));
            }
        }
        problems.extend(unpaired("cluster.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        problems
    }
}

impl WorkerSettings {
    /// What is wrong with it that ranges cannot say.
    pub(crate) fn problems(&self, etcd: &EtcdSettings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let everywhere = self.listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified());
        if etcd.is_used() && everywhere && self.advertise.is_none() {
            let message = format!(
                "it is missing: {:?} is every address of this machine, and gateways need one, such as http://10.0.0.2:7070",
                self.listen
            );
            problems.push(problem("worker.advertise", message));
        }
        if self.listen.parse::<SocketAddr>().is_err() && !is_socket(&self.listen) {
            let message = format!("{:?} is no place to listen at; allowed are IP:PORT and unix:/PATH", self.listen);
            problems.push(problem("worker.listen", message));
        }
        if let Some(advertise) = self.advertise.as_ref().filter(|url| !is_url(url) && !is_socket(url)) {
            let message = format!(
                "{advertise:?} is no worker's URL; allowed are http://HOST:PORT, https://HOST:PORT and unix:/PATH"
            );
            problems.push(problem("worker.advertise", message));
        }
        if self.name.as_ref().is_some_and(|name| !is_name(name)) {
            problems.push(problem("worker.name", NAME_REFUSED));
        }
        let tls = &self.tls;
        problems.extend(unpaired("worker.tls", tls.certificate.as_ref(), tls.key.as_ref()));
        if tls.client_authority.is_some() && tls.certificate.is_none() {
            let message = "it is missing: a worker that asks for certificates shows its own".to_owned();
            problems.push(problem("worker.tls.certificate", message));
        }
        problems
    }
}
