//! Claims: exclusive use of one scheduler, for a limited time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Identifies one claim. Tokens of a scheduler only grow, and a claimed scheduler
/// accepts only requests that carry the current token, so a holder whose claim has
/// ended cannot disturb the next one (Kleppmann, "How to do distributed locking",
/// 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

/// A request for exclusive use of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// The claim's owner, for people to read.
    pub owner: String,
    /// The claim expires after this time without a heartbeat.
    pub ttl: Duration,
    /// What happens to the requests that the scheduler already has.
    pub drain: ClaimDrain,
}

/// What happens to the requests that a scheduler already has when it is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimDrain {
    /// They run to their end before the claim takes effect.
    #[default]
    Wait,
    /// They end at once with `Unavailable`; the router continues them on another
    /// scheduler.
    Evict,
    /// They end at once with `Cancelled` and are not continued.
    Fail,
}

impl ClaimDrain {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Wait, Self::Evict, Self::Fail];

    /// The name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Evict => "evict",
            Self::Fail => "fail",
        }
    }
}
