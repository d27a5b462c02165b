//! The HTTP server, and the benchmarks that it takes orders for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use hostler_benchmark::{Benchmarks, Facts, LoopbackGrpc, LoopbackHttp};
use hostler_config::{ApiKey, BenchmarksConfig, Config};
use hostler_gateway::{ClusterView, Gateway};
use hostler_models::Store;
use hostler_router::Router;
use hostler_telemetry::Exporter;

/// Bytes of the key by which the server asks itself: what nobody guesses.
const LOOPBACK_KEY_BYTES: usize = 32;

/// Both serve.
pub(crate) struct Http {
    gateway: Gateway,
    benchmarks: Benchmarks,
}

impl Http {
    /// Starts both. `facts` are what results say of the schedulers, `cluster` is what
    /// operators are shown.
    pub(crate) fn start(
        config: &Config,
        router: &Router,
        facts: Arc<dyn Facts>,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> anyhow::Result<Self> {
        let benchmarks = Benchmarks::start(benchmarks(config), crate::COMMIT.map(str::to_owned), router.clone(), facts)
            .context("cannot keep results of benchmarks: see benchmarks.store")?;
        let mut server = config.server.clone();
        let api_key = loopback_key(&mut server.api_keys);
        let gateway = Gateway::start(server, router.clone(), benchmarks.clone(), cluster, exporter)
            .with_context(|| format!("cannot listen on {}", config.server.address))?;
        benchmarks.set_loopback_http(LoopbackHttp { url: format!("http://{}", reachable(gateway.address())), api_key });
        Ok(Self { gateway, benchmarks })
    }

    /// Sets how a benchmark connects to a scheduler of this process over gRPC.
    pub(crate) fn set_loopback_grpc(&self, grpc: Arc<dyn LoopbackGrpc>) {
        self.benchmarks.set_loopback_grpc(grpc);
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Finishes what runs. Whether all of it ended in time.
    pub(crate) async fn stop(self) -> bool {
        // First of all, so that claimed schedulers serve while the rest is finished.
        self.benchmarks.stop().await;
        self.gateway.stop().await
    }
}

/// The configuration of benchmarks: by default, results are stored next to the user's
/// models, wherever `models.store` may be.
fn benchmarks(config: &Config) -> BenchmarksConfig {
    let of_user = || Some(Store::of_user()?.root().parent()?.join("benchmarks"));
    BenchmarksConfig { store: config.benchmarks.store.clone().or_else(of_user), ..config.benchmarks.clone() }
}

/// Adds a client for the benchmarks of this process, which send requests to its own HTTP
/// server. `None`: the server accepts requests without a key.
fn loopback_key(clients: &mut BTreeMap<String, ApiKey>) -> Option<String> {
    if clients.is_empty() {
        return None;
    }
    let secret: [u8; LOOPBACK_KEY_BYTES] = rand::random();
    let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = "benchmark".to_owned();
    while clients.contains_key(&name) {
        name.push('_');
    }
    clients.insert(name, ApiKey { key: key.as_str().into(), admin: true });
    Some(key)
}

/// The address that a client on this machine would use.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    SocketAddr::new(ip, bound.port())
}
