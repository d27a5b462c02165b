//! A worker's end: its schedulers, for whoever may connect.

mod observe;
mod service;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hostler_protocol::NodeId;
use hostler_scheduler::Scheduler;
use hostler_telemetry::Exporter;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::listen::{Listen, bind_unix};
use crate::tls::ServerTls;
use crate::transport::{MESSAGE_BYTES_MAX, REQUEST_WINDOW_BYTES, REQUESTS_WINDOW_BYTES, STREAMS_MAX, WORKER_PING};
use crate::wire::check_version;
use crate::wire::proto::worker_server;
use service::Service;

/// How a worker presents itself.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its name, unique in the cluster.
    pub name: NodeId,
    /// Version of the program.
    pub version: String,
    /// Where it listens.
    pub listen: Listen,
    /// TLS, for a port; a Unix socket needs none.
    pub tls: Option<ServerTls>,
    /// What is handed to observers that ask for metrics.
    pub metrics: Option<Exporter>,
}

/// A worker that can be reached. Dropping it closes it, and leaves calls that run to
/// their ends.
pub struct WorkerServer {
    listen: Listen,
    closing: watch::Sender<bool>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    socket: Option<PathBuf>,
}

/// What all calls share.
struct Node {
    name: NodeId,
    version: String,
    schedulers: Vec<Arc<dyn Scheduler>>,
    metrics: Option<Exporter>,
    /// Whether observers shall be let go.
    closing: watch::Receiver<bool>,
}

impl WorkerServer {
    /// Listens, and serves `schedulers` from tasks of the runtime that it is called in.
    ///
    /// # Errors
    /// The place cannot be listened at, or the certificates cannot be used.
    pub fn start(options: WorkerOptions, schedulers: Vec<Arc<dyn Scheduler>>) -> io::Result<Self> {
        let WorkerOptions { name, version, listen, tls, metrics } = options;
        let (closing, closed) = watch::channel(false);
        let node = Arc::new(Node { name, version, schedulers, metrics, closing: closed.clone() });
        let mut server = Server::builder()
            .initial_stream_window_size(REQUEST_WINDOW_BYTES)
            .initial_connection_window_size(REQUESTS_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            // Every request that is dropped resets its stream. That is how cancelling
            // works, so the guards against clients that do so all the time are off.
            .http2_max_pending_accept_reset_streams(Some(STREAMS_MAX as usize))
            .http2_max_local_error_reset_streams(None)
            .http2_keepalive_interval(Some(WORKER_PING.0))
            .http2_keepalive_timeout(Some(WORKER_PING.1));
        if let Some(tls) = tls {
            server = server.tls_config(tls.config()).map_err(io::Error::other)?;
        }
        let service = worker_server::WorkerServer::new(Service(node))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let router = server.add_service(InterceptedService::new(service, check_version));
        let end = closes(closed);
        match listen {
            Listen::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let listen = Listen::Tcp(listener.local_addr()?);
                let incoming = TcpIncoming::from(TcpListener::from_std(listener)?).with_nodelay(Some(true));
                let serving = tokio::spawn(router.serve_with_incoming_shutdown(incoming, end));
                Ok(Self { listen, closing, serving, socket: None })
            }
            Listen::Unix(path) => {
                let incoming = UnixListenerStream::new(bind_unix(&path)?).map(|accepted| accepted);
                let serving = tokio::spawn(router.serve_with_incoming_shutdown(incoming, end));
                Ok(Self { listen: Listen::Unix(path.clone()), closing, serving, socket: Some(path) })
            }
        }
    }

    /// Where it listens: with the port that it got, where it asked for any.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Takes no more calls, lets observers go, and returns when the calls that there
    /// are have ended, or `patience` is over. Stop the schedulers first.
    pub async fn stop(mut self, patience: Duration) {
        self.close();
        if tokio::time::timeout(patience, &mut self.serving).await.is_err() {
            tracing::warn!("calls still ran when the worker closed");
            self.serving.abort();
        }
    }

    fn close(&mut self) {
        self.closing.send_replace(true);
        if let Some(path) = self.socket.take() {
            // Whoever starts next replaces what is left.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for WorkerServer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Returns when the server is to close.
async fn closes(mut closing: watch::Receiver<bool>) {
    // A sender that is gone will never say so.
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}
