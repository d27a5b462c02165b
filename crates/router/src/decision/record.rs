//! What is recorded of a decision. Pure.

use std::time::Duration;

use hostler_config::RoutingPolicy;
use hostler_protocol::SchedulerId;

use crate::policy::{Candidate, Reason};

/// Most candidates that are recorded: the chosen one, and those that the policy would take next.
pub(crate) const CANDIDATES_MAX: usize = 4;

/// One decision.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) scheduler: SchedulerId,
    pub(crate) policy: RoutingPolicy,
    pub(crate) reason: Reason,
    /// Schedulers of the model that take requests.
    pub(crate) able: u32,
    pub(crate) prompt_blocks: u32,
    /// The chosen one first.
    pub(crate) candidates: [Option<Scored>; CANDIDATES_MAX],
    /// What the shadow policy would have chosen.
    pub(crate) shadow: Option<SchedulerId>,
    pub(crate) cost: Duration,
}

/// A candidate, as it was known to the decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) scheduler: SchedulerId,
    pub(crate) candidate: Candidate,
    pub(crate) matched_blocks: u32,
}
