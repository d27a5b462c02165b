//! A claim that a scheduler has granted.

use std::time::{Duration, Instant};

use hostler_protocol::FencingToken;

use crate::ClaimSnapshot;

/// Who has the scheduler, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its number.
    pub token: FencingToken,
    /// Who holds it, for people to read.
    pub owner: String,
    /// When it was granted.
    pub granted: Instant,
    /// How long it lasts after each heartbeat.
    pub ttl: Duration,
    /// When it ends without one.
    pub expires: Instant,
}

impl Claim {
    /// As others see it.
    #[must_use]
    pub fn snapshot(&self) -> ClaimSnapshot {
        ClaimSnapshot { token: self.token, owner: self.owner.clone(), granted: Some(self.granted), ttl: self.ttl }
    }

    /// The same claim, `ttl` from `now`.
    #[must_use]
    pub fn renewed(&self, now: Instant) -> Self {
        Self { expires: now + self.ttl, ..self.clone() }
    }
}
