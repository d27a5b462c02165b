//! The HTTP server and the benchmark service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use hostler_benchmark::{Benchmarks, Facts, LoopbackGrpc, LoopbackHttp};
use hostler_config::{ApiKey, BenchmarksConfig, Config, Role, ServerConfig};
use hostler_gateway::{ClusterView, Gateway};
use hostler_models::Store;
use hostler_router::Router;
use hostler_telemetry::Exporter;

use crate::telemetry::COMMIT;

/// Length of the random key with which the server sends requests to itself.
const LOOPBACK_KEY_BYTES: usize = 32;

/// The running HTTP server and benchmark service.
pub(crate) struct Http {
    gateway: Gateway,
    benchmarks: Benchmarks,
}

impl Http {
    /// Starts both. Results of benchmarks contain `facts` about the schedulers; operators see
    /// `cluster` at `GET /admin/cluster`.
    pub(crate) fn start(
        config: &Config,
        router: &Router,
        facts: Arc<dyn Facts>,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> anyhow::Result<Self> {
        let benchmarks = Benchmarks::start(benchmarks(config), COMMIT.map(str::to_owned), router.clone(), facts)
            .context("cannot store results of benchmarks: see benchmarks.store")?;
        let mut server = config.server.clone();
        let api_key = loopback_key(&mut server);
        server.responses.store = server.responses.store.or_else(|| data_folder("responses"));
        let gateway = Gateway::start(server, router.clone(), benchmarks.clone(), cluster, exporter)
            .with_context(|| format!("cannot serve HTTP on {}", config.server.address))?;
        // The load generator speaks plain HTTP, so with TLS its ladder ends below this rung.
        if config.server.tls.certificate.is_none() {
            let url = format!("http://{}", reachable(gateway.address()));
            benchmarks.set_loopback_http(LoopbackHttp { url, api_key });
        }
        Ok(Self { gateway, benchmarks })
    }

    /// Sets how a benchmark connects to a scheduler of this process over gRPC.
    pub(crate) fn set_loopback_grpc(&self, grpc: Arc<dyn LoopbackGrpc>) {
        self.benchmarks.set_loopback_grpc(grpc);
    }

    /// The address on which the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Completes the running requests; whether all of them ended in time.
    pub(crate) async fn stop(self) -> bool {
        // First, so that claimed schedulers serve again while the other requests complete.
        self.benchmarks.stop().await;
        self.gateway.stop().await
    }
}

/// The configuration of benchmarks: by default, results are stored next to the user's
/// models, wherever `models.store` may be.
fn benchmarks(config: &Config) -> BenchmarksConfig {
    let store = config.benchmarks.store.clone().or_else(|| data_folder("benchmarks"));
    BenchmarksConfig { store, ..config.benchmarks.clone() }
}

/// A folder in the user's data directory.
fn data_folder(name: &str) -> Option<PathBuf> {
    Some(Store::of_user()?.root().parent()?.join(name))
}

/// Adds a client for the benchmarks of this process, which send requests to its own HTTP
/// server. `None`: the server accepts requests without a key.
fn loopback_key(server: &mut ServerConfig) -> Option<String> {
    if server.is_open() {
        return None;
    }
    let secret: [u8; LOOPBACK_KEY_BYTES] = rand::random();
    let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    // No key of a user can have this name.
    let entry = ApiKey { tenant: Some("benchmark".to_owned()), ..ApiKey::new(&key, Role::Operator) };
    server.api_keys.insert("(benchmark)".to_owned(), entry);
    Some(key)
}

/// The address that a client on this machine would use.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = if bound.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { bound.ip() };
    SocketAddr::new(ip, bound.port())
}
