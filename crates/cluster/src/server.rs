//! The worker's end: serves its schedulers to gateways.

mod node;
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
use crate::transport::{
    MESSAGE_BYTES_MAX, REQUEST_WINDOW_BYTES, REQUESTS_WINDOW_BYTES, STREAMS_MAX, WORKER_KEEP_ALIVE,
};
use crate::wire::check_version;
use crate::wire::proto::worker_server;
use node::{Node, closed};
use service::WorkerService;

/// What a worker serves, and where.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its name, unique in the cluster.
    pub name: NodeId,
    /// Version of the program.
    pub version: String,
    /// Where it listens.
    pub listen: Listen,
    /// TLS for a TCP port; a Unix socket needs none.
    pub tls: Option<ServerTls>,
    /// The metrics to send to observers that ask for them.
    pub metrics: Option<Exporter>,
}

/// A worker that accepts calls. Dropping it stops accepting; calls in flight run to their ends.
pub struct WorkerServer {
    listen: Listen,
    closing: watch::Sender<bool>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    socket: Option<PathBuf>,
}

impl WorkerServer {
    /// Listens, and serves `schedulers` from tasks of the runtime in which it is called.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificates are invalid.
    pub fn start(options: WorkerOptions, schedulers: Vec<Arc<dyn Scheduler>>) -> io::Result<Self> {
        let WorkerOptions { name, version, listen, tls, metrics } = options;
        let (closing, closing_out) = watch::channel(false);
        let node = Arc::new(Node { name, version, schedulers, metrics, closing: closing_out.clone() });
        let mut server = Server::builder()
            .initial_stream_window_size(REQUEST_WINDOW_BYTES)
            .initial_connection_window_size(REQUESTS_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            // A dropped request resets its stream: that is how requests are cancelled. So the
            // limits against clients that reset many streams are off.
            .http2_max_pending_accept_reset_streams(Some(STREAMS_MAX as usize))
            .http2_max_local_error_reset_streams(None)
            .http2_keepalive_interval(Some(WORKER_KEEP_ALIVE.interval))
            .http2_keepalive_timeout(Some(WORKER_KEEP_ALIVE.timeout));
        if let Some(tls) = tls {
            server = server.tls_config(tls.config()).map_err(io::Error::other)?;
        }
        let service = worker_server::WorkerServer::new(WorkerService(node))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let router = server.add_service(InterceptedService::new(service, check_version));
        let end = closed(closing_out);
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

    /// Where it listens; for port 0, with the port that was chosen.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Stops accepting calls, ends the observations, and waits at most `timeout` for the calls in
    /// flight. Stop the schedulers first, so that the calls end.
    pub async fn stop(mut self, timeout: Duration) {
        self.close();
        if tokio::time::timeout(timeout, &mut self.serving).await.is_err() {
            tracing::warn!("calls were still in flight when the worker closed");
            self.serving.abort();
        }
    }

    fn close(&mut self) {
        self.closing.send_replace(true);
        if let Some(path) = self.socket.take() {
            // The next process to start replaces a socket that cannot be removed.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for WorkerServer {
    fn drop(&mut self) {
        self.close();
    }
}
