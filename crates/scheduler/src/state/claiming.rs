//! Draining and claims.

use std::time::Instant;

use hostler_protocol::{ClaimDrain, ErrorCode, FencingToken, RequestError};

use super::refusal::{not_claimable, not_serving};
use super::{Claim, Effect, InvalidTransition, Lifecycle, SchedulingState, Ticket, Transition};
use crate::SchedulerState;

impl SchedulingState {
    /// Stops admitting requests, and ends a claim. Queued and running requests are finished,
    /// those of the claim too; then [`Effect::Empty`] follows.
    ///
    /// # Errors
    /// [`InvalidTransition`] if the scheduler does not serve.
    pub fn drain(&mut self, now: Instant) -> Result<Vec<Effect>, InvalidTransition> {
        self.advance(Transition::Drain)?;
        Ok(self.dispatch(now))
    }

    /// Admits requests again after a drain.
    ///
    /// # Errors
    /// [`InvalidTransition`] unless it was drained.
    pub fn resume(&mut self) -> Result<(), InvalidTransition> {
        self.advance(Transition::Resume)
    }

    /// Claims the scheduler. The claim takes effect once the scheduler is empty; until
    /// then it is pending, and can expire or be released like any other.
    ///
    /// # Errors
    /// `Unavailable` unless the scheduler is serving.
    pub fn claim(&mut self, now: Instant, claim: Claim, drain: ClaimDrain) -> Result<Vec<Effect>, RequestError> {
        if let Err(invalid) = self.advance(Transition::Claim(claim)) {
            return Err(not_claimable(&invalid, self.lifecycle.claim()));
        }
        let mut effects = match drain {
            ClaimDrain::Wait => Vec::new(),
            ClaimDrain::Evict => self.end_all(&not_serving(SchedulerState::Claimed)),
            ClaimDrain::Fail => {
                let error = RequestError::new(ErrorCode::Cancelled, "the scheduler was claimed by another client");
                self.end_all(&error)
            }
        };
        effects.extend(self.dispatch(now));
        Ok(effects)
    }

    /// Renews a claim. False if the claim has ended.
    pub fn heartbeat(&mut self, now: Instant, token: FencingToken) -> bool {
        match &mut self.lifecycle {
            Lifecycle::Claimed(claim) | Lifecycle::Draining { next: Some(claim) }
                if claim.token == token && claim.expires > now =>
            {
                claim.expires = now + claim.ttl;
                true
            }
            _ => false,
        }
    }

    /// Releases a claim; its running requests are finished. False if the claim has ended.
    pub fn release(&mut self, now: Instant, token: FencingToken) -> (bool, Vec<Effect>) {
        if self.lifecycle.claim().is_none_or(|claim| claim.token != token) {
            return (false, Vec::new());
        }
        (self.advance(Transition::Release).is_ok(), self.dispatch(now))
    }

    /// Ends a claim that has received no heartbeat for its `ttl`.
    pub(super) fn expire_claim(&mut self, now: Instant) {
        if self.lifecycle.claim().is_some_and(|claim| claim.expires <= now) {
            // Every state with a claim allows its release.
            let _ = self.advance(Transition::Release);
        }
    }

    /// Refuses all queued requests and asks the engine to stop all running ones.
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
