//! How a benchmark reaches this server itself: over HTTP, and over gRPC to a scheduler of
//! this process, so that the cost of those layers is measured on the same engine.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_protocol::RequestError;
use hostler_scheduler::Scheduler;

/// The HTTP address of this server for requests from this process.
#[derive(Clone, Debug)]
pub struct LoopbackHttp {
    /// `http://127.0.0.1:port`
    pub url: String,
    /// A key that may use claims; `None` if no keys are configured.
    pub api_key: Option<String>,
}

/// Connects to schedulers of this process over gRPC, as a gateway connects to a worker's.
/// Implemented by the binary, because this crate knows no transport.
#[async_trait]
pub trait LoopbackGrpc: Send + Sync + 'static {
    /// Connects to `scheduler`.
    ///
    /// # Errors
    /// `Unavailable`, if the connection cannot be made.
    async fn connect(&self, scheduler: Arc<dyn Scheduler>) -> Result<GrpcConnection, RequestError>;
}

/// A scheduler behind a gRPC connection. Dropping it closes the connection.
pub struct GrpcConnection {
    /// The client's handle.
    pub scheduler: Arc<dyn Scheduler>,
    /// Keeps both ends of the connection alive.
    pub ends: Box<dyn Any + Send + Sync>,
}
