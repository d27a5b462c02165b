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
use crate::http::{server, shutdown};
use crate::{ClusterView, ServerConfig, api};

/// A gateway that serves. Dropping it does not stop it.
pub struct Gateway {
    address: SocketAddr,
    state: web::Data<AppState>,
    server: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// Binds and serves. `cluster` is what `GET /admin/cluster` shows. Needs a running
    /// actix system; the caller handles signals.
    ///
    /// # Errors
    /// If the address cannot be bound, or a regular expression of the configuration is invalid.
    pub fn start(
        config: ServerConfig,
        router: Router,
        benchmarks: Benchmarks,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> io::Result<Self> {
        let state = AppState::new(config, router, benchmarks, cluster, exporter);
        let state = web::Data::new(state.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?);
        let (address, server) = server::bind(&state, api::routes::configure)?;
        let handle = server.handle();
        Ok(Self { address, state, server: handle, task: actix_web::rt::spawn(server) })
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
        shutdown::shut_down(&self.state, self.server, self.task).await
    }
}
