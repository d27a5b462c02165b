//! The lifecycle of a scheduler: one enum, one transition function.
//!
//! ```text
//!            Loaded            Drain           Emptied (under a claim)
//! Starting ─────────► Serving ───────► Draining ────────► Claimed
//!    ▲                  ▲ ▲              │                   │
//!    │ Restart          │ └── Resume ────┘                   │
//!  Failed ◄── Fail ─────┤◄──────────── Release ──────────────┘
//!                       └ from every state but Stopped: Fail, Stop
//! ```
//!
//! A drain ends a claim, also one that waits for its scheduler to be empty.
//!
//! ```text
//! Claimed, Draining (under a claim) ── Drain ──► Draining
//! ```

use std::time::{Duration, Instant};

use hostler_protocol::FencingToken;

use crate::{ClaimSnapshot, SchedulerState};

/// A claim that a scheduler has granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its fencing token.
    pub token: FencingToken,
    /// Its owner, for people to read.
    pub owner: String,
    /// When it was granted.
    pub granted: Instant,
    /// How long it lasts after each heartbeat.
    pub ttl: Duration,
    /// When it ends without another heartbeat.
    pub expires: Instant,
}

impl Claim {
    /// The claim as shown in snapshots.
    #[must_use]
    pub fn snapshot(&self) -> ClaimSnapshot {
        ClaimSnapshot { token: self.token, owner: self.owner.clone(), granted: Some(self.granted), ttl: self.ttl }
    }
}

/// A scheduler's state, with the data of each state.
#[derive(Clone, Debug, PartialEq)]
pub enum Lifecycle {
    /// The model is being loaded.
    Starting,
    /// Requests are admitted.
    Serving,
    /// Admitted requests are finished; new ones are refused.
    Draining {
        /// The claim that takes effect once the scheduler is empty, if there is one.
        next: Option<Claim>,
    },
    /// Only requests of this claim are admitted.
    Claimed(Claim),
    /// The engine failed.
    Failed,
    /// The scheduler has stopped for good.
    Stopped,
}

/// An event that moves a scheduler from one state to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The model is loaded.
    Loaded,
    /// A drain was requested.
    Drain,
    /// The end of a drain was requested.
    Resume,
    /// A claim was requested.
    Claim(Claim),
    /// The last request has ended.
    Emptied,
    /// The claim has ended.
    Release,
    /// The engine failed.
    Fail,
    /// A new engine is being loaded.
    Restart,
    /// The scheduler is stopped.
    Stop,
}

/// A transition that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scheduler that is {from} cannot {wanted}")]
pub struct InvalidTransition {
    from: &'static str,
    wanted: &'static str,
}

impl Lifecycle {
    /// The one transition function.
    ///
    /// # Errors
    /// [`InvalidTransition`], if the state does not allow it.
    pub fn after(&self, transition: Transition) -> Result<Self, InvalidTransition> {
        use Lifecycle as L;
        use Transition as T;
        match (self, transition) {
            (L::Starting, T::Loaded) => Ok(L::Serving),
            // A drain ends a claim: the scheduler is about to stop. The claim's requests are finished.
            (L::Serving | L::Draining { .. } | L::Claimed(_), T::Drain) => Ok(L::Draining { next: None }),
            (L::Serving, T::Claim(claim)) => Ok(L::Draining { next: Some(claim) }),
            (L::Draining { next: Some(claim) }, T::Emptied) => Ok(L::Claimed(claim.clone())),
            (L::Draining { next: None }, T::Emptied) => Ok(self.clone()),
            (L::Draining { next: None }, T::Resume) => Ok(L::Serving),
            (L::Draining { next: Some(_) } | L::Claimed(_), T::Release) => Ok(L::Serving),
            (L::Failed, T::Restart) => Ok(L::Starting),
            (L::Starting | L::Serving | L::Draining { .. } | L::Claimed(_) | L::Failed, T::Fail) => Ok(L::Failed),
            (_, T::Stop) => Ok(L::Stopped),
            (state, transition) => {
                Err(InvalidTransition { from: state.public().as_str(), wanted: transition.wanted() })
            }
        }
    }

    /// The state as shown in snapshots.
    #[must_use]
    pub fn public(&self) -> SchedulerState {
        match self {
            Self::Starting => SchedulerState::Starting,
            Self::Serving => SchedulerState::Serving,
            Self::Draining { .. } => SchedulerState::Draining,
            Self::Claimed(_) => SchedulerState::Claimed,
            Self::Failed => SchedulerState::Failed,
            Self::Stopped => SchedulerState::Stopped,
        }
    }

    /// The claim that is in effect or waits for the drain.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claimed(claim) | Self::Draining { next: Some(claim) } => Some(claim),
            _ => None,
        }
    }
}

impl Transition {
    /// The end of the message of [`InvalidTransition`].
    const fn wanted(&self) -> &'static str {
        match self {
            Self::Loaded => "have finished loading",
            Self::Drain => "be drained",
            Self::Resume => "resume",
            Self::Claim(_) => "be claimed",
            Self::Emptied => "have become empty",
            Self::Release => "be released",
            Self::Fail => "fail",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}
