//! The connections to one worker, which all its schedulers share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::call::{CallGuard, Calls};
use super::options::{EndpointError, RemoteOptions};
use crate::transport::{
    CLIENT_KEEP_ALIVE, CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX,
};
use crate::wire::proto::worker_client::WorkerClient;
use crate::wire::{SendVersion, error_from_status};

/// The generated client, on one of the connections.
pub(super) type Client = WorkerClient<InterceptedService<Channel, SendVersion>>;

/// Streams of a connection that are reserved for calls other than generations, so that a
/// heartbeat or a cancellation never waits for a generation to end.
const STREAMS_RESERVED: u32 = 96;

/// `Retry-After` when every stream is taken.
const STREAMS_TAKEN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The connections to one worker.
pub(super) struct Link {
    endpoint: String,
    clients: Vec<Client>,
    next: AtomicUsize,
    calls: Arc<Calls>,
    /// One permit for each generation that the connections have streams for.
    permits: Arc<Semaphore>,
}

impl Link {
    pub(super) fn new(endpoint: &str, options: &RemoteOptions) -> Result<Self, EndpointError> {
        let built = self::endpoint(endpoint, options)
            .map_err(|reason| EndpointError { endpoint: endpoint.to_owned(), reason })?;
        let connections = options.connections.max(1);
        let clients = (0..connections).map(|_| {
            WorkerClient::with_interceptor(built.connect_lazy(), SendVersion(options.protocol_version))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        });
        Ok(Self {
            endpoint: endpoint.to_owned(),
            clients: clients.collect(),
            next: AtomicUsize::new(0),
            calls: Calls::closed("the worker has not been reached yet"),
            permits: Arc::new(Semaphore::new(connections * (STREAMS_MAX - STREAMS_RESERVED) as usize)),
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Allows calls: the worker is connected.
    pub(super) fn open(&self) {
        self.calls.open();
    }

    /// Allows no new calls.
    pub(super) fn close(&self, why: &str) {
        self.calls.close(why);
    }

    /// Allows no new calls, and ends those in flight: the worker is lost.
    pub(super) fn cut_off(&self, why: &str) {
        self.calls.cut_off(why);
    }

    /// The connection on which the worker is observed.
    pub(super) fn observer_client(&self) -> Client {
        self.clients[0].clone()
    }

    /// The connections in turn.
    pub(super) fn client(&self) -> Client {
        self.clients[self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len()].clone()
    }

    /// A stream for a generation.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            RequestError::new(ErrorCode::Overloaded, "every stream to the worker is taken")
                .with_retry_after(STREAMS_TAKEN_RETRY_AFTER)
        })
    }

    /// Starts a call, if the worker is connected.
    pub(super) fn start_call(&self) -> Result<CallGuard, RequestError> {
        self.calls.start().map_err(|why| RequestError::unavailable(&*why))
    }

    /// Makes a call whose answer is one message. It fails if the worker is lost.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, RequestError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let guard = self.start_call()?;
        tokio::select! {
            answer = call(self.client()) => answer.map(Response::into_inner).map_err(|status| error_from_status(&status)),
            why = guard.cut_off() => Err(RequestError::unavailable(&*why)),
        }
    }
}

fn endpoint(endpoint: &str, options: &RemoteOptions) -> Result<Endpoint, String> {
    let is_tls = endpoint.starts_with("https://");
    if !is_tls && !endpoint.starts_with("http://") && !endpoint.starts_with("unix:/") {
        return Err("its scheme is not supported".to_owned());
    }
    let built = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| error.to_string())?;
    let built = built
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(CLIENT_KEEP_ALIVE.interval)
        .keep_alive_timeout(CLIENT_KEEP_ALIVE.timeout)
        .keep_alive_while_idle(true)
        // A dropped request resets its stream, and tokens that were in transit still arrive. By
        // default only ten reset streams are remembered; data for others counts as an error of
        // the peer, and a connection is closed after 1,024 of them.
        .http2_max_concurrent_reset_streams(STREAMS_MAX as usize)
        .http2_max_local_error_reset_streams(None);
    match (&options.tls, is_tls) {
        (Some(tls), true) => built.tls_config(tls.config()).map_err(|error| error.to_string()),
        (None, true) => Err("https needs TLS, and no certificate authority is configured for it".to_owned()),
        (_, false) => Ok(built),
    }
}
