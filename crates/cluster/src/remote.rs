//! A gateway's end: a worker's schedulers, as if they were here.
//!
//! A [`RemoteNode`] keeps a few connections to one worker, which all streams share, and
//! watches it: while it is lost its schedulers are `Failed` and say why, and what ran
//! there ends with an error after which another scheduler may go on. When it is back,
//! so are they.

mod calls;
mod cut;
mod link;
mod scheduler;
mod stream;
mod view;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use hostler_protocol::NodeId;
use hostler_scheduler::SchedulerSnapshot;
use hostler_telemetry::Relay;
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use scheduler::RemoteScheduler;
pub use view::NodeView;

use crate::tls::ClientTls;
use link::Link;
use watcher::Watcher;

/// How a worker is reached.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Connections to it; at least 1. Two carry 8,192 streams; more let the kernel
    /// spread them over processors.
    pub connections: usize,
    /// A worker that says nothing for so long is lost, and its streams end. It says
    /// something every second: 3 s are three signs of life missed.
    pub silence_max: Duration,
    /// Who is at the other end of an `https` URL.
    pub tls: Option<ClientTls>,
    /// Whether schedulers are called `NODE.NAME`: names are unique on a node, and must
    /// be so in the cluster.
    pub qualify_names: bool,
    /// Schedulers that are known to be there before the worker has been reached: they
    /// show as what stands here until then.
    pub expected: Vec<SchedulerSnapshot>,
    /// Where the worker's metrics go, which are asked for then. For a worker that nobody
    /// scrapes.
    pub metrics: Option<Relay>,
    /// The version of the protocol that is spoken. Only tests speak another.
    #[doc(hidden)]
    pub protocol_version: u32,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            connections: 2,
            silence_max: Duration::from_secs(3),
            tls: None,
            qualify_names: true,
            expected: Vec::new(),
            metrics: None,
            protocol_version: crate::wire::PROTOCOL_VERSION,
        }
    }
}

/// Why a worker cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint:?}: {reason}; allowed are http://HOST:PORT, https://HOST:PORT with TLS, and unix:/PATH")]
pub struct EndpointError {
    /// As it was given.
    pub endpoint: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What is known of a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeHealth {
    /// Its name; `None` until it has been reached once.
    pub name: Option<NodeId>,
    /// Version of its program.
    pub version: Option<String>,
    /// Why it is lost; `None` while it is connected.
    pub failure: Option<String>,
    /// When it last said something.
    pub last_heartbeat: Option<std::time::Instant>,
}

/// The worker's schedulers that are known.
pub type Schedulers = Arc<[Arc<RemoteScheduler>]>;

/// One worker. Dropping it lets the worker go: its schedulers here are `Stopped`, and
/// what still runs there runs to its end.
pub struct RemoteNode {
    link: Arc<Link>,
    schedulers: watch::Receiver<Schedulers>,
    health: watch::Receiver<NodeHealth>,
    watcher: AbortHandle,
}

impl RemoteNode {
    /// Connects to a worker, from tasks of the runtime that it is called in, for as long
    /// as the node is kept. Whether it is there shows in [`health`](Self::health).
    ///
    /// # Errors
    /// Only for an endpoint that can never be one.
    pub fn connect(endpoint: &str, options: &RemoteOptions) -> Result<Self, EndpointError> {
        let link = Arc::new(Link::new(endpoint, options)?);
        let (watcher, schedulers, health) = Watcher::new(Arc::clone(&link), options);
        let watcher = tokio::spawn(watcher.run()).abort_handle();
        Ok(Self { link, schedulers, health, watcher })
    }

    /// As it was given.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.link.endpoint()
    }

    /// Its schedulers: none until it has been reached once. One that is lost stays.
    #[must_use]
    pub fn schedulers(&self) -> watch::Receiver<Schedulers> {
        self.schedulers.clone()
    }

    /// Says that the worker is lost, by who knows before its connection does. It is
    /// found again when it says something.
    pub(crate) fn fail(&self, why: &str) {
        // In this order, so that whoever is cut off finds it so.
        self.schedulers.borrow().iter().for_each(|scheduler| scheduler.failed(why));
        self.link.cut(why);
    }

    /// Says that the worker is leaving, before its schedulers do: they get nothing new.
    pub(crate) fn retire(&self) {
        self.schedulers.borrow().iter().for_each(|scheduler| scheduler.retire());
    }

    /// How it fares.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<NodeHealth> {
        self.health.clone()
    }

    /// What is known of it, for whoever only looks.
    #[must_use]
    pub fn view(&self) -> NodeView {
        NodeView::new(self)
    }
}

impl Drop for RemoteNode {
    fn drop(&mut self) {
        self.watcher.abort();
        self.link.close("the worker is no longer a member");
        for scheduler in self.schedulers.borrow().iter() {
            scheduler.stopped();
        }
    }
}
