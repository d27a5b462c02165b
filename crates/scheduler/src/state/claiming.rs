//! Draining and claims.

use std::time::Instant;

use hostler_protocol::{ClaimDrain, ErrorCode, FencingToken, RequestError};

use super::refusal::{not_serving, unclaimable};
use super::{Claim, Effect, Forbidden, State, Ticket, Transition};
use crate::SchedulerState;

impl State {
    /// Takes nothing new; what was taken is finished. [`Effect::Empty`] says when.
    ///
    /// # Errors
    /// [`Forbidden`], while the scheduler is claimed.
    pub fn drain(&mut self, now: Instant) -> Result<Vec<Effect>, Forbidden> {
        self.advance(Transition::Drain)?;
        Ok(self.dispatch(now))
    }

    /// Takes requests again after a drain.
    ///
    /// # Errors
    /// [`Forbidden`], unless it was drained.
    pub fn resume(&mut self) -> Result<(), Forbidden> {
        self.advance(Transition::Resume)
    }

    /// Gives the scheduler to somebody, once it is empty. Until then the claim is
    /// pending: it can expire or be released like any other.
    ///
    /// # Errors
    /// `Unavailable`, unless the scheduler is serving.
    pub fn claim(&mut self, now: Instant, claim: Claim, drain: ClaimDrain) -> Result<Vec<Effect>, RequestError> {
        if let Err(forbidden) = self.advance(Transition::Claim(claim)) {
            return Err(unclaimable(&forbidden, self.lifecycle.claim()));
        }
        let mut effects = match drain {
            ClaimDrain::Wait => Vec::new(),
            ClaimDrain::Evict => self.end_all(&not_serving(SchedulerState::Claimed)),
            ClaimDrain::Fail => {
                self.end_all(&RequestError::new(ErrorCode::Cancelled, "the scheduler was claimed by somebody else"))
            }
        };
        effects.extend(self.dispatch(now));
        Ok(effects)
    }

    /// The holder lives. Whether the claim is still theirs.
    pub fn heartbeat(&mut self, now: Instant, token: FencingToken) -> bool {
        use super::Lifecycle as L;
        match &mut self.lifecycle {
            L::Claimed(claim) | L::Draining { next: Some(claim) } if claim.token == token && claim.expires > now => {
                *claim = claim.renewed(now);
                true
            }
            _ => false,
        }
    }

    /// The holder gives the scheduler back. Whether the claim was still theirs.
    /// What they have running is finished.
    pub fn release(&mut self, now: Instant, token: FencingToken) -> (bool, Vec<Effect>) {
        if self.lifecycle.claim().is_none_or(|claim| claim.token != token) {
            return (false, Vec::new());
        }
        (self.advance(Transition::Release).is_ok(), self.dispatch(now))
    }

    /// Ends a claim whose holder has not been heard of for its `ttl`.
    pub(super) fn expire_claim(&mut self, now: Instant) {
        if self.lifecycle.claim().is_some_and(|claim| claim.expires <= now) {
            // Every state with a claim allows its release.
            let _ = self.advance(Transition::Release);
        }
    }

    /// Ends all that waits and asks the engine to stop all that runs.
    fn end_all(&mut self, error: &RequestError) -> Vec<Effect> {
        let queued: Vec<Ticket> = self.queue.iter().map(|waiting| waiting.demand.ticket).collect();
        let mut effects = Vec::with_capacity(queued.len() + self.batch.len());
        for ticket in queued {
            if let Some(waiting) = self.queue.remove(ticket) {
                self.timers.remove(&(waiting.until, ticket));
            }
            effects.push(Effect::Refuse(ticket, error.clone()));
        }
        effects.extend(self.batch.iter().map(|demand| Effect::Stop(demand.ticket, error.clone())));
        effects
    }
}
