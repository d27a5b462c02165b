//! A claim: somebody has the scheduler for themselves, for a while.

use std::time::{Duration, Instant};

/// Tells one claim from every other, earlier ones and later ones: it only grows.
/// What a scheduler does under a claim, it does for this number alone, so that
/// a holder whose claim has ended can disturb nobody (Kleppmann, "How to do
/// distributed locking", 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FencingToken(pub u64);

/// Who has the scheduler, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its number.
    pub token: FencingToken,
    /// Who holds it, for people to read.
    pub owner: String,
    /// How long it lasts after each heartbeat.
    pub ttl: Duration,
    /// When it ends without one.
    pub expires: Instant,
}

impl Claim {
    /// The same claim, `ttl` from `now`.
    #[must_use]
    pub fn renewed(&self, now: Instant) -> Self {
        Self { expires: now + self.ttl, ..self.clone() }
    }
}

/// What happens to the requests that a scheduler has when it is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimDrain {
    /// They are finished first.
    Wait,
    /// They end at once with `Unavailable`: whoever sent them continues them on
    /// another scheduler.
    Evict,
    /// They end at once with `Cancelled`: nobody continues them.
    Fail,
}
