//! The server's life: bound, served, drained, stopped.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::rt::task::JoinHandle;
use actix_web::{App, HttpServer, web};
use hostler_benchmark::Benchmarks;
use hostler_router::Router;
use hostler_telemetry::Exporter;

use crate::limits::LAST_BYTES;
use crate::observe::observe;
use crate::routes;
use crate::shared::Shared;
use crate::{ClusterView, GatewayConfig};

/// A gateway that serves. Dropping it does not stop it.
pub struct Gateway {
    address: SocketAddr,
    shared: web::Data<Shared>,
    server: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// Binds and serves. `cluster` is what `GET /admin/cluster` shows. Needs a running
    /// actix system; signals are left to the caller.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start(
        config: GatewayConfig,
        router: Router,
        benchmarks: Benchmarks,
        cluster: Arc<dyn ClusterView>,
        exporter: Exporter,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen)?;
        let address = listener.local_addr()?;
        let stalled_client_timeout = config.stalled_client_timeout;
        let shared = web::Data::new(Shared::new(config, router, benchmarks, cluster, exporter));
        let app_shared = shared.clone();
        let config = &shared.config;
        let server = HttpServer::new(move || {
            App::new().app_data(app_shared.clone()).configure(routes::configure).wrap(from_fn(observe))
        })
        .workers(config.workers)
        .max_connections(config.connections_max)
        .keep_alive(config.keep_alive)
        .client_request_timeout(config.head_timeout)
        // A client that closes its side has left: its generation stops at once,
        // not when a write fails some tokens later.
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .on_connect(move |connection, _: &mut Extensions| {
            if let Some(connection) = connection.downcast_ref::<TcpStream>() {
                give_up_on_stalled(connection, stalled_client_timeout);
            }
        })
        .disable_signals()
        .shutdown_timeout((config.drain_timeout + 3 * LAST_BYTES).as_secs())
        .listen(listener)?
        .run();
        let handle = server.handle();
        let task = actix_web::rt::spawn(server);
        Ok(Self { address, shared, server: handle, task })
    }

    /// Where it listens, with the port that the system chose if none was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, so that nobody behind a balancer notices. `/readyz` says no from now on,
    /// and for `unready` everything else goes on, so that whoever asks it can send new
    /// clients elsewhere; connections close with their next answer. Then no connection is
    /// taken any more: clients that try are refused, and can try another gateway. What
    /// runs may go on for `drain_timeout`. Whether everything ended in time.
    pub async fn stop(self) -> bool {
        let Self { shared, server, mut task, .. } = self;
        shared.begin_to_leave();
        tokio::time::sleep(shared.config.unready).await;
        // A thread of actix's that is told to stop in the very moment in which a connection is
        // handed to it and closed may count one too few, and end with a stream under way. So
        // none is handed over any more when it is told.
        server.pause().await;
        tokio::time::sleep(HANDED_OVER).await;
        // It closes the listener and idle connections at once, and is done when no connection
        // is left. Its own patience is longer than what is waited for here.
        let stopping = actix_web::rt::spawn(server.stop(true));
        let (ended, in_time) = tokio::select! {
            ended = &mut task => (Some(ended), true),
            // Connections are left whose clients neither ask nor read.
            () = idle_for(&shared.router, LAST_BYTES) => (None, true),
            () = tokio::time::sleep(shared.config.drain_timeout) => {
                let in_time = shared.router.is_idle();
                end_what_is_left(&shared.router).await;
                (tokio::time::timeout(LAST_BYTES, &mut task).await.ok(), in_time)
            }
        };
        // Nothing comes by HTTP any more, and nothing shall otherwise.
        if tokio::time::timeout(LAST_BYTES, shared.router.drain()).await.is_err() {
            tracing::warn!("the router still has requests");
        }
        match ended {
            Some(Ok(Ok(()))) => return in_time,
            Some(Ok(Err(error))) => tracing::error!(%error, "the http server ended in an error"),
            Some(Err(error)) => tracing::error!(%error, "the http server's task ended in an error"),
            None => {
                stopping.abort();
                task.abort();
                return in_time;
            }
        }
        false
    }
}

/// In so long a connection that was accepted has been handed over and counted.
const HANDED_OVER: Duration = Duration::from_millis(5);

/// How often a router is looked at while it ends.
const LOOK: Duration = Duration::from_millis(50);

/// Returns when the router has had nothing to do for so long.
async fn idle_for(router: &Router, so_long: Duration) {
    let mut since = Instant::now();
    while since.elapsed() < so_long {
        tokio::time::sleep(LOOK).await;
        if !router.is_idle() {
            since = Instant::now();
        }
    }
}

/// Refuses what yet comes, and cancels what is left until nothing is: a request cannot be
/// cancelled while it is handed over.
async fn end_what_is_left(router: &Router) {
    let cancelling = async {
        loop {
            router.cancel_all().await;
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = router.drain() => {}
        () = cancelling => {}
        () = tokio::time::sleep(LAST_BYTES) => tracing::warn!("requests did not end when they were cancelled"),
    }
}

/// Has the kernel close the connection when its client leaves what was sent
/// unread, or unacknowledged, for so long.
#[cfg(target_os = "linux")]
fn give_up_on_stalled(connection: &TcpStream, timeout: Duration) {
    if let Err(error) = socket2::SockRef::from(connection).set_tcp_user_timeout(Some(timeout)) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
}

/// Elsewhere, stalled clients are bounded by the number of connections alone.
#[cfg(not(target_os = "linux"))]
fn give_up_on_stalled(_: &TcpStream, _: Duration) {}
