//! `[router]`: how a scheduler is chosen for a request, and what happens when it fails.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::{DAY_SECONDS, ordered, seconds};

/// `[router]`: how a scheduler is chosen for a request, and what happens when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct RouterConfig {
    /// How the router chooses among the schedulers of a model. least_loaded: the one with
    /// the least outstanding token work; round_robin: each in turn; random; power_of_two:
    /// the less loaded of two drawn at random; prefix_aware: the one that has recently read
    /// the longest prefix of the prompt; session: by consistent hashing of the header
    /// `x-hostler-session`. The last two choose another scheduler when theirs is overloaded.
    pub policy: RoutingPolicy,
    /// A second policy that is asked about every request and only recorded: how often it would
    /// have chosen another scheduler, and how much each would have got, as metrics and in the
    /// receipts. Not set: none.
    pub shadow_policy: Option<RoutingPolicy>,
    /// Maximum number of receipts that are kept: what was decided for a request and how it ended,
    /// for `GET /admin/receipts`. The oldest is forgotten. 0: none are kept.
    ///
    /// A receipt takes about 1 KiB.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub receipts_max: usize,
    /// Maximum number of requests in the router at once, waiting and running; further ones
    /// are refused with 429. The schedulers' own queues are usually the tighter limit.
    ///
    /// 4,096 is eight times what eight schedulers hold by default.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_max: usize,
    /// Maximum number of schedulers that one request is offered to. If all of them refuse
    /// it, the best refusal is returned to the client.
    ///
    /// A refusal takes about a millisecond; the bound keeps a full cluster from asking
    /// every scheduler for every request.
    #[schemars(range(min = 1, max = 64))]
    pub attempts_max: u32,
    /// Retry budget: retries allowed for every hundred requests, so that retries do not
    /// multiply an overload.
    #[schemars(range(min = 0, max = 100))]
    pub retry_share_percent: u32,
    /// Additional retries per second, regardless of traffic.
    #[schemars(range(min = 0, max = 10_000))]
    pub retries_per_second: u32,
    /// Maximum number of times that one answer is continued on another scheduler after its
    /// own failed. 0: the answer ends with an error.
    ///
    /// The bound keeps a request that makes engines fail from going through the whole
    /// cluster.
    #[schemars(range(min = 0, max = 16))]
    pub moves_max: u32,
    /// Maximum time to look for a scheduler that can continue an answer, while the others
    /// are full or restarting.
    ///
    /// Longer than a restart takes, and shorter than clients wait for a token.
    #[serde(rename = "move_wait_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = 600))]
    pub move_wait: Duration,
    /// Maximum number of prompt blocks of 128 bytes that `prefix_aware` remembers for each model;
    /// those that have not been used for longest are forgotten.
    ///
    /// A block takes about 80 bytes: the default remembers 8 MiB of prompts in 5 MiB of memory.
    #[schemars(range(min = 1, max = 16_000_000))]
    pub prefix_blocks_max: usize,
    /// Consecutive failures of a scheduler that open its circuit breaker. Errors of clients,
    /// disconnects and full queues do not count.
    #[schemars(range(min = 1, max = 1000))]
    pub breaker_failures: u32,
    /// Time for which an open circuit breaker keeps requests away; then one request tries
    /// the scheduler again.
    #[serde(rename = "breaker_open_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub breaker_open: Duration,
    /// Maximum time that a request waits when all schedulers of its model are away for a
    /// reason that usually passes in seconds: they start, restart after a failure, drain or
    /// have just been lost; then it is refused with 503. requests_max bounds how many wait.
    ///
    /// Longer than a restart takes. 0: refused at once.
    #[serde(rename = "outage_wait_seconds_max", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = 600))]
    pub outage_wait: Duration,
    /// Time for which a scheduler that has just started to serve gets less than its share of
    /// requests, if other schedulers have served for longer.
    #[serde(rename = "slow_start_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = 3600))]
    pub slow_start: Duration,
    /// Maximum time that a request waits when all schedulers of its model are claimed or kept
    /// from serving by a claim, as by a benchmark; then it is refused with 503. requests_max
    /// bounds how many wait.
    ///
    /// Two minutes are more than a benchmark with the defaults takes on a small model and a
    /// CPU.
    #[serde(rename = "wait_seconds_max", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = DAY_SECONDS))]
    pub wait_max: Duration,
}

impl RouterConfig {
    /// Whether a policy compares prefixes of prompts.
    #[must_use]
    pub fn compares_prefixes(&self) -> bool {
        [Some(self.policy), self.shadow_policy].contains(&Some(RoutingPolicy::PrefixAware))
    }
}

/// How the router chooses a scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingPolicy {
    /// The one with the least outstanding token work in relation to its batch size.
    #[default]
    LeastLoaded,
    /// Each in turn.
    RoundRobin,
    /// One at random.
    Random,
    /// The less loaded of two drawn at random.
    PowerOfTwo,
    /// The one that has recently read the longest prefix of the prompt, unless it is
    /// overloaded; else the least loaded.
    PrefixAware,
    /// The one that the request's session belongs to, by consistent hashing; if it is
    /// overloaded, the session's next one. Without a session, the least loaded.
    Session,
}

impl RoutingPolicy {
    /// Every policy.
    pub const ALL: [Self; 6] =
        [Self::LeastLoaded, Self::RoundRobin, Self::Random, Self::PowerOfTwo, Self::PrefixAware, Self::Session];

    /// As the configuration and metric labels spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::PowerOfTwo => "power_of_two",
            Self::PrefixAware => "prefix_aware",
            Self::Session => "session",
        }
    }
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            policy: RoutingPolicy::default(),
            shadow_policy: None,
            receipts_max: 1000,
            requests_max: 4096,
            attempts_max: 3,
            retry_share_percent: 20,
            retries_per_second: 10,
            moves_max: 2,
            move_wait: Duration::from_secs(10),
            prefix_blocks_max: 65_536,
            breaker_failures: 5,
            breaker_open: Duration::from_secs(5),
            outage_wait: Duration::from_secs(10),
            slow_start: Duration::from_secs(10),
            wait_max: Duration::from_secs(120),
        }
    }
}
