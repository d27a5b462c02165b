//! What is known of a node: a process that holds schedulers.

use std::time::Duration;

use crate::{NodeId, SchedulerId};

/// A node, as one process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name; `None` until it is known.
    pub name: Option<NodeId>,
    /// Where it is reached; `None` for the process that looks.
    pub endpoint: Option<String>,
    /// Version of its program; `None` until it is known.
    pub version: Option<String>,
    /// Whether it is there.
    pub state: NodeState,
    /// Why it is not; `None` while it is.
    pub failure: Option<String>,
    /// How long ago it last said something; `None` if it never did.
    pub last_sign_of_life: Option<Duration>,
    /// Its schedulers, as they are called in the cluster.
    pub schedulers: Vec<SchedulerId>,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It has not been reached yet.
    Unreached,
    /// It is connected, and says something every second.
    Connected,
    /// It is connected and about to end: what runs there is finished, nothing new goes there.
    Leaving,
    /// It was connected, and is not any more.
    Lost,
}

impl NodeState {
    /// As the API spells it.
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
