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

use super::cut::{Calls, Entered};
use super::{EndpointError, RemoteOptions};
use crate::transport::{
    CLIENT_PING, CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES, STREAMS_MAX,
};
use crate::wire::proto::worker_client::WorkerClient;
use crate::wire::{Speaks, refusal};

/// The generated client, on one of the connections.
pub(super) type Client = WorkerClient<InterceptedService<Channel, Speaks>>;

/// Streams of a connection that generations leave to other calls, so that a heartbeat
/// or a cancellation never waits for a generation to end.
const STREAMS_RESERVED: u32 = 96;

/// When to come back if every stream is taken.
const CROWDED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module's first line.
pub(super) struct Link {
    endpoint: String,
    clients: Vec<Client>,
    next: AtomicUsize,
    calls: Arc<Calls>,
    /// As many generations as the connections have streams for.
    permits: Arc<Semaphore>,
}

impl Link {
    pub(super) fn new(endpoint: &str, options: &RemoteOptions) -> Result<Self, EndpointError> {
        let wrong = |reason: String| EndpointError { endpoint: endpoint.to_owned(), reason };
        let built = self::endpoint(endpoint, options).map_err(wrong)?;
        let connections = options.connections.max(1);
        let clients = (0..connections).map(|_| {
            WorkerClient::with_interceptor(built.connect_lazy(), Speaks(options.protocol_version))
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        });
        Ok(Self {
            endpoint: endpoint.to_owned(),
            clients: clients.collect(),
            next: AtomicUsize::new(0),
            calls: Calls::new("the worker has not been reached yet"),
            permits: Arc::new(Semaphore::new(connections * (STREAMS_MAX - STREAMS_RESERVED) as usize)),
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The worker is there.
    pub(super) fn open(&self) {
        self.calls.open();
    }

    /// The worker takes nothing new.
    pub(super) fn close(&self, why: &str) {
        self.calls.close(why);
    }

    /// The worker is lost, and with it what runs there.
    pub(super) fn cut(&self, why: &str) {
        self.calls.cut(why);
    }

    /// The connection that the worker is watched on.
    pub(super) fn first(&self) -> Client {
        self.clients[0].clone()
    }

    /// The connections in turn.
    pub(super) fn client(&self) -> Client {
        self.clients[self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len()].clone()
    }

    /// A place for a generation.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            RequestError::new(ErrorCode::Overloaded, "every stream to the worker is taken")
                .with_retry_after(CROWDED_RETRY_AFTER)
        })
    }

    /// Enters a call, if the worker is there.
    pub(super) fn enter(&self) -> Result<Entered, RequestError> {
        self.calls.enter().map_err(|why| unavailable(&why))
    }

    /// Makes a call whose answer is one message. It ends with the worker.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, RequestError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let entered = self.enter()?;
        tokio::select! {
            answer = call(self.client()) => answer.map(Response::into_inner).map_err(|status| refusal(&status)),
            why = entered.cut() => Err(unavailable(&why)),
        }
    }
}

/// Nothing has begun: another scheduler can take it.
pub(super) fn unavailable(why: &str) -> RequestError {
    RequestError::new(ErrorCode::Unavailable, why)
}

fn endpoint(endpoint: &str, options: &RemoteOptions) -> Result<Endpoint, String> {
    let is_tls = endpoint.starts_with("https://");
    if !is_tls && !endpoint.starts_with("http://") && !endpoint.starts_with("unix:/") {
        return Err("no such kind of place".to_owned());
    }
    let built = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| error.to_string())?;
    let built = built
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(CLIENT_PING.0)
        .keep_alive_timeout(CLIENT_PING.1)
        .keep_alive_while_idle(true)
        // A dropped request resets its stream, and tokens that were on their way still
        // arrive. By default ten such streams are remembered, and what arrives for
        // others counts as the peer's error, of which a connection survives 1,024.
        .http2_max_concurrent_reset_streams(STREAMS_MAX as usize)
        .http2_max_local_error_reset_streams(None);
    match (&options.tls, is_tls) {
        (Some(tls), true) => built.tls_config(tls.config()).map_err(|error| error.to_string()),
        (None, true) => Err("it has TLS, and no authority is configured that vouches for it".to_owned()),
        (_, false) => Ok(built),
    }
}
