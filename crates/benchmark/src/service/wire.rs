//! A connection to a scheduler of this process, as a gateway has one to a worker's: what
//! the layer `grpc` costs is measured on the same engine as the layers beside it.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_protocol::RequestError;
use hostler_scheduler::Scheduler;

/// Makes such connections. The service knows no transport; whoever starts it does.
#[async_trait]
pub trait Wire: Send + Sync + 'static {
    /// Puts `scheduler` behind a connection.
    ///
    /// # Errors
    /// `Unavailable`, if there is none to be had.
    async fn connect(&self, scheduler: Arc<dyn Scheduler>) -> Result<Connected, RequestError>;
}

/// A scheduler behind a connection. Dropping it ends the connection.
pub struct Connected {
    /// The handle at this end.
    pub scheduler: Arc<dyn Scheduler>,
    /// What keeps both ends.
    pub ends: Box<dyn Any + Send + Sync>,
}
