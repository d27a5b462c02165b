//! The gateway: the HTTP server with every API on it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::rt::task::JoinHandle;
use actix_web::web;
use hostler_benchmark::Benchmarks;
use hostler_router::Router;
use hostler_telemetry::Exporter;

use crate::http::state::AppState;
use crate::http::watch::watch;
use crate::http::{server, shutdown};
use crate::{ClusterView, ServerConfig, api};

/// A gateway that serves. Dropping it does not stop it.
pub struct Gateway {
    address: SocketAddr,
    state: web::Data<AppState>,
    server: ServerHandle,
    task: JoinHandle<io::Result<()>>,
    /// Reads the key file and the certificate when they change.
    watch: JoinHandle<()>,
}

impl Gateway {
    /// Binds and serves. `cluster` is what `GET /admin/cluster` shows. Needs a running
    /// actix system; the caller handles signals.
    ///
    /// # Errors
    /// If the address cannot be bound, or a file or a regular expression of the configuration cannot
    /// be used.
    pub fn start(
        config: ServerConfig,
        router: Router,
        benchmarks: Benchmarks,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> io::Result<Self> {
        let state = web::Data::new(AppState::new(config, router, benchmarks, cluster, exporter)?);
        let (address, server) = server::bind(&state, api::routes::configure)?;
        let handle = server.handle();
        let (keys, certificate) = (Arc::clone(&state.keys), state.certificate.clone());
        let watch = actix_web::rt::spawn(watch(Arc::new(move || {
            keys.refresh();
            certificate.iter().for_each(|certificate| certificate.refresh());
        })));
        Ok(Self { address, state, server: handle, task: actix_web::rt::spawn(server), watch })
    }

    /// The address that it listens on, with the port that the system chose if it was 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: `/readyz` answers 503, for `unready` everything else continues, then the
    /// listener closes and running requests have `drain_timeout` to end. Returns whether
    /// everything ended in time.
    pub async fn stop(self) -> bool {
        let in_time = shutdown::shut_down(&self.state, self.server, self.task).await;
        self.watch.abort();
        in_time
    }
}
