//! Claims: somebody has a scheduler for themselves, for a while.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Tells one claim from every other, earlier ones and later ones: it only grows.
/// What a scheduler does under a claim, it does for this number alone, so that
/// a holder whose claim has ended can disturb nobody (Kleppmann, "How to do
/// distributed locking", 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

/// Asks a scheduler for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Who wants it, for people to read.
    pub owner: String,
    /// How long the claim lasts without a heartbeat.
    pub ttl: Duration,
    /// What happens to the requests that it has.
    pub drain: ClaimDrain,
}

/// What happens to the requests that a scheduler has when it is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimDrain {
    /// They are finished first.
    #[default]
    Wait,
    /// They end at once with `Unavailable`: whoever sent them continues them on
    /// another scheduler.
    Evict,
    /// They end at once with `Cancelled`: nobody continues them.
    Fail,
}

impl ClaimDrain {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Wait, Self::Evict, Self::Fail];

    /// As requests spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Evict => "evict",
            Self::Fail => "fail",
        }
    }
}
