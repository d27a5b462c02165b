//! The life of a scheduler: one enum, one transition function.
//!
//! ```text
//!            Loaded            Drain           Emptied (under a claim)
//! Starting ─────────► Serving ───────► Draining ────────► Claimed
//!    ▲                  ▲ ▲              │                   │
//!    │ Restart          │ └── Resume ────┘                   │
//!  Failed ◄── Fail ─────┤◄──────────── Release ──────────────┘
//!                       └ from every state but Stopped: Fail, Stop
//! ```

use super::claim::Claim;
use crate::SchedulerState;

/// What a scheduler does, with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Lifecycle {
    /// The model is being loaded.
    Starting,
    /// Requests are taken.
    Serving,
    /// What was taken is finished; nothing new is taken.
    Draining {
        /// Who shall have the scheduler once it is empty, if anyone.
        next: Option<Claim>,
    },
    /// Only requests of this claim are taken.
    Claimed(Claim),
    /// The engine failed.
    Failed,
    /// Gone for good.
    Stopped,
}

/// What moves a scheduler from one state to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The model is loaded.
    Loaded,
    /// Nothing new shall be taken.
    Drain,
    /// Requests shall be taken again.
    Resume,
    /// Someone wants the scheduler for themselves.
    Claim(Claim),
    /// The last request has ended.
    Emptied,
    /// The claim has ended.
    Release,
    /// The engine failed.
    Fail,
    /// A fresh engine is being loaded.
    Restart,
    /// The end.
    Stop,
}

/// A transition that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scheduler that is {from} cannot {wanted}")]
pub struct Forbidden {
    from: &'static str,
    wanted: &'static str,
}

impl Lifecycle {
    /// The one transition function.
    ///
    /// # Errors
    /// [`Forbidden`]; the state is then as it was.
    pub fn after(&self, transition: Transition) -> Result<Self, Forbidden> {
        use Lifecycle as L;
        use Transition as T;
        match (self, transition) {
            (L::Starting, T::Loaded) => Ok(L::Serving),
            (L::Serving, T::Drain) => Ok(L::Draining { next: None }),
            (L::Draining { .. }, T::Drain) => Ok(self.clone()),
            (L::Serving, T::Claim(claim)) => Ok(L::Draining { next: Some(claim) }),
            (L::Draining { next: Some(claim) }, T::Emptied) => Ok(L::Claimed(claim.clone())),
            (L::Draining { next: None }, T::Emptied) => Ok(self.clone()),
            (L::Draining { next: None }, T::Resume) => Ok(L::Serving),
            (L::Draining { next: Some(_) } | L::Claimed(_), T::Release) => Ok(L::Serving),
            (L::Failed, T::Restart) => Ok(L::Starting),
            (L::Starting | L::Serving | L::Draining { .. } | L::Claimed(_) | L::Failed, T::Fail) => Ok(L::Failed),
            (_, T::Stop) => Ok(L::Stopped),
            (state, transition) => Err(Forbidden { from: state.public().as_str(), wanted: transition.wanted() }),
        }
    }

    /// As others see it.
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

    /// The claim that is held, or that waits for the drain.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Claimed(claim) | Self::Draining { next: Some(claim) } => Some(claim),
            _ => None,
        }
    }
}

impl Transition {
    /// What was wanted, as the end of the sentence in [`Forbidden`].
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
