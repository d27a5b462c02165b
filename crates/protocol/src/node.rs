//! The status of a node: a process that runs schedulers.

use std::time::Duration;

use crate::{NodeId, SchedulerId};

/// A node, as the reporting process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name; `None` until it is known.
    pub name: Option<NodeId>,
    /// Its endpoint; `None` for the reporting process itself.
    pub endpoint: Option<String>,
    /// The version of its program; `None` until it is known.
    pub version: Option<String>,
    /// Its connection state.
    pub state: NodeState,
    /// Why it is not connected; `None` while it is.
    pub failure: Option<String>,
    /// Time since its last heartbeat; `None` before the first.
    pub last_heartbeat: Option<Duration>,
    /// The names of its schedulers in the cluster.
    pub schedulers: Vec<SchedulerId>,
}

/// The connection state of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Not connected yet.
    Unreached,
    /// Connected; it sends a heartbeat every second.
    Connected,
    /// Connected and shutting down: it finishes its requests and gets no new ones.
    Leaving,
    /// The connection was lost.
    Lost,
}

impl NodeState {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::Connected => "connected",
            Self::Leaving => "leaving",
            Self::Lost => "lost",
        }
    }
}
