//! What all calls to a worker share.

use std::sync::Arc;

use hostler_protocol::{ErrorCode, NodeId, RequestError};
use hostler_scheduler::Scheduler;
use hostler_telemetry::Exporter;
use tokio::sync::watch;

use crate::wire::proto;

pub(super) struct Node {
    pub(super) name: NodeId,
    pub(super) version: String,
    pub(super) schedulers: Vec<Arc<dyn Scheduler>>,
    pub(super) metrics: Option<Exporter>,
    /// Whether the server is closing, so that observations end.
    pub(super) closing: watch::Receiver<bool>,
}

impl Node {
    pub(super) fn describe(&self) -> proto::Node {
        proto::Node {
            name: self.name.as_str().to_owned(),
            version: self.version.clone(),
            schedulers: self.schedulers.iter().map(|scheduler| scheduler.id().as_str().to_owned()).collect(),
        }
    }

    pub(super) fn scheduler(&self, name: &str) -> Result<&Arc<dyn Scheduler>, RequestError> {
        let found = self.schedulers.iter().find(|scheduler| scheduler.id().as_str() == name);
        found.ok_or_else(|| {
            let message = format!("there is no scheduler {name:?} on node {:?}", self.name.as_str());
            RequestError::new(ErrorCode::NotFound, message)
        })
    }
}

/// Waits until the server is to close.
pub(super) async fn closed(mut closing: watch::Receiver<bool>) {
    // If the sender is gone, the server was dropped, and nothing will close it.
    if closing.wait_for(|closing| *closing).await.is_err() {
        std::future::pending::<()>().await;
    }
}
