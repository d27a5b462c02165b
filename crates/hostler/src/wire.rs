//! A gRPC connection from this process to itself, so that a ladder can measure its cost on
//! the same engine as the other layers.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_benchmark::{GrpcConnection, LoopbackGrpc};
use hostler_cluster::{Listen, RemoteNode, RemoteOptions, WorkerOptions, WorkerServer};
use hostler_protocol::{ErrorCode, RequestError};
use hostler_scheduler::Scheduler;
use tokio::runtime::Handle;

use crate::cluster::Transport;

/// Maximum time until the two ends are connected. It takes milliseconds, unless the machine
/// is overloaded.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Connects by a Unix socket, as a process does to its children. Both ends run on the threads
/// of the transport.
pub(crate) struct OwnWire(Handle);

impl OwnWire {
    pub(crate) fn new(transport: &Transport) -> Arc<Self> {
        Arc::new(Self(transport.enter(Handle::current)))
    }
}

#[async_trait]
impl LoopbackGrpc for OwnWire {
    async fn connect(&self, scheduler: Arc<dyn Scheduler>) -> Result<GrpcConnection, RequestError> {
        // Only this user can access the directory.
        let folder = tempfile::Builder::new().prefix("hostler-").tempdir().map_err(unavailable)?;
        let listen = Listen::Unix(folder.path().join("own.sock"));
        let endpoint = listen.to_string();
        let options = RemoteOptions { qualify_names: false, ..RemoteOptions::default() };
        let (server, node) = {
            let _entered = self.0.enter();
            let worker = WorkerOptions {
                name: "own".into(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                listen,
                tls: None,
                metrics: None,
            };
            let server = WorkerServer::start(worker, vec![scheduler]).map_err(unavailable)?;
            (server, RemoteNode::connect(&endpoint, &options).map_err(unavailable)?)
        };
        let mut known = node.schedulers();
        let found = tokio::time::timeout(CONNECT_MAX, known.wait_for(|known| !known.is_empty())).await;
        let first = match found {
            Ok(Ok(known)) => known.first().cloned(),
            _ => None,
        };
        let Some(scheduler) = first else { return Err(unavailable("the other end does not answer")) };
        Ok(GrpcConnection { scheduler, ends: Box::new((node, server, folder)) })
    }
}

fn unavailable(why: impl Display) -> RequestError {
    RequestError::new(ErrorCode::Unavailable, format!("this process cannot connect to itself: {why}"))
}
