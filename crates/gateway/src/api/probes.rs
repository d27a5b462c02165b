//! Probes and metrics of a process without the API: `/livez`, `/readyz`, `/metrics`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use hostler_telemetry::Exporter;

use super::health::metrics_page;

/// Probes and a scrape every few seconds need less than one thread.
const WORKERS: usize = 1;

/// Whether this process accepts new requests.
pub type Readiness = Arc<dyn Fn() -> bool + Send + Sync>;

/// A server of probes. Dropping it does not stop it.
pub struct Probes {
    address: SocketAddr,
    server: ServerHandle,
}

impl Probes {
    /// Binds and serves. Needs a running actix system.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(listen: SocketAddr, ready: Readiness, exporter: Exporter) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || {
            let (ready, exporter) = (Arc::clone(&ready), exporter.clone());
            App::new()
                .route("/livez", web::get().to(async || HttpResponse::Ok().body("alive\n")))
                .route("/readyz", web::get().to(move || readyz(ready())))
                .route("/metrics", web::get().to(move || std::future::ready(metrics_page(&exporter))))
        })
        .workers(WORKERS)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { address, server: handle })
    }

    /// The address that it listens on, with the port that the system chose if it was 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it at once.
    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn readyz(ready: bool) -> HttpResponse {
    if ready {
        HttpResponse::Ok().body("ready\n")
    } else {
        HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE).body("no model is ready\n")
    }
}
