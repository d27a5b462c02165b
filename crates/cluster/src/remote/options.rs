//! How a worker is reached.

use std::time::Duration;

use hostler_config::ClusterConfig;
use hostler_scheduler::SchedulerSnapshot;
use hostler_telemetry::Relay;

use crate::tls::ClientTls;
use crate::wire::PROTOCOL_VERSION;

/// How a worker is reached.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Connections to the worker; at least 1. Two carry 8,192 streams. More connections let the
    /// kernel spread them over processors.
    pub connections: usize,
    /// A worker without a heartbeat for so long is lost, and its streams end. Heartbeats come
    /// every second: 3 s are three missed ones.
    pub silence_max: Duration,
    /// TLS, for an `https` endpoint.
    pub tls: Option<ClientTls>,
    /// Whether schedulers are called `NODE.NAME`: names are unique on a node, and ids must be
    /// unique in the cluster.
    pub qualify_names: bool,
    /// Schedulers that the worker is known to have. Until it has been reached, these snapshots
    /// stand for them.
    pub expected: Vec<SchedulerSnapshot>,
    /// Where to publish the worker's metrics, for a worker that Prometheus does not scrape. With
    /// `None` the worker does not send them.
    pub metrics: Option<Relay>,
    /// The version of the protocol to speak. Only tests set another one.
    #[doc(hidden)]
    pub protocol_version: u32,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        let ClusterConfig { connections, silence_max, .. } = ClusterConfig::default();
        Self {
            connections,
            silence_max,
            tls: None,
            qualify_names: true,
            expected: Vec::new(),
            metrics: None,
            protocol_version: PROTOCOL_VERSION,
        }
    }
}

/// An endpoint at which no worker can be.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint:?}: {reason}; allowed are http://HOST:PORT, https://HOST:PORT with TLS, and unix:/PATH")]
pub struct EndpointError {
    /// The endpoint as configured.
    pub endpoint: String,
    /// What is wrong with it.
    pub reason: String,
}
