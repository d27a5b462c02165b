//! What can be set on the router.

use std::time::Duration;

use crate::Policy;

/// The router's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// How a scheduler is chosen among those that can serve a request.
    pub policy: Policy,
    /// Most requests in the router at once, waiting and running in all
    /// schedulers together; what comes beyond is refused with `Overloaded`. It
    /// bounds the router's memory. The schedulers' own queues are the limits that
    /// should be met first: 4,096 is eight times what eight of them hold by default.
    pub requests_max: usize,
    /// Most schedulers that one request is offered to before its refusal is
    /// passed on. Every one that refuses has said no within a millisecond or so;
    /// the bound keeps a full cluster from asking itself over and over.
    pub attempts_max: u32,
    /// Longest time that a request waits for a claim to end, where nobody else
    /// serves its model. Two minutes are more than a benchmark with the defaults
    /// takes on a small model and a CPU.
    pub wait_max: Duration,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self { policy: Policy::LeastLoaded, requests_max: 4096, attempts_max: 3, wait_max: Duration::from_secs(120) }
    }
}
