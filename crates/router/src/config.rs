//! What can be set on the router.

use std::time::Duration;

use crate::Policy;
use crate::decision::breaker::BreakerConfig;
use crate::dispatcher::BudgetConfig;

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
    /// What offers beyond the first may cost, all requests together.
    pub retry_budget: BudgetConfig,
    /// What becomes of answers whose scheduler fails.
    pub migration: MigrationConfig,
    /// When a scheduler that keeps failing is left alone.
    pub breaker: BreakerConfig,
    /// How long a scheduler that has just begun to serve gets less than its share.
    pub slow_start: Duration,
    /// Longest time that a request waits for a claim to end, where nobody else
    /// serves its model. Two minutes are more than a benchmark with the defaults
    /// takes on a small model and a CPU.
    pub wait_max: Duration,
}

/// What becomes of an answer whose scheduler fails in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationConfig {
    /// Most times that one answer is continued on another scheduler. A request that
    /// makes engines fail must not go through all of a cluster.
    pub moves_max: u32,
    /// How long another scheduler is looked for while the others are full, or
    /// restarting. The client has been promised an answer, so it is worth waiting a
    /// little; longer than a restart takes, and shorter than clients wait for a token.
    pub wait: Duration,
}

impl Default for MigrationConfig {
    fn default() -> Self {
        Self { moves_max: 2, wait: Duration::from_secs(10) }
    }
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            policy: Policy::LeastLoaded,
            requests_max: 4096,
            attempts_max: 3,
            wait_max: Duration::from_secs(120),
            retry_budget: BudgetConfig::default(),
            migration: MigrationConfig::default(),
            breaker: BreakerConfig::default(),
            slow_start: Duration::from_secs(10),
        }
    }
}
