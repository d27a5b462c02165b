//! A held claim: renewed while the lease lives, released by its drop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use hostler_protocol::{FencingToken, ModelId, RequestError};
use hostler_scheduler::Scheduler;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::open::{ClaimPhase, OpenClaim};

/// Heartbeats per `ttl`: two may be lost before the claim expires.
const HEARTBEATS_PER_TTL: u32 = 3;

/// A claimed scheduler, or one that is draining for its holder. Dropping it releases the
/// claim.
pub struct Lease {
    grant: Grant,
    /// On the holder's own runtime, so that a holder that hangs loses the scheduler.
    heartbeats: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(grant: Grant) -> Self {
        let heartbeats = tokio::spawn(keep_alive(Arc::clone(&grant.scheduler), Arc::clone(&grant.claim)));
        Self { grant, heartbeats }
    }

    /// The token that requests must carry.
    #[must_use]
    pub fn token(&self) -> FencingToken {
        self.grant.claim.token
    }

    /// The claimed scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<dyn Scheduler> {
        &self.grant.scheduler
    }

    /// The scheduler's model.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.grant.claim.record.model
    }

    /// Waits until the scheduler has no requests of others any more. Returns how long that
    /// took, from the grant.
    ///
    /// # Errors
    /// `Unavailable` if the claim ended first.
    pub async fn wait_until_claimed(&self) -> Result<Duration, RequestError> {
        let mut phase = self.grant.phase.clone();
        let drained = phase.wait_for(|phase| *phase != ClaimPhase::Draining).await.map(|phase| *phase);
        match drained {
            Ok(ClaimPhase::Claimed { drain }) => Ok(drain),
            _ => Err(self.loss()),
        }
    }

    /// Waits until the claim is lost: it expired because heartbeats did not arrive, was
    /// released by its token, or the engine failed. Returns the error to report.
    pub async fn lost(&self) -> RequestError {
        let mut phase = self.grant.phase.clone();
        // An error means that the router is gone.
        let _ = phase.wait_for(|phase| *phase == ClaimPhase::Ended).await;
        self.loss()
    }

    /// Releases the claim, and waits for it. Whether the claim was still open.
    ///
    /// # Errors
    /// `Unavailable` if the scheduler cannot be reached: the claim then expires.
    pub async fn release(mut self) -> Result<bool, RequestError> {
        self.heartbeats.abort();
        self.grant.armed = false;
        self.grant.claim.release(&*self.grant.scheduler).await
    }

    /// Ends the lease but not the claim, which is then held by its token alone, with
    /// [`crate::Router::heartbeat_claim`] and [`crate::Router::release_claim`]. It lasts for
    /// another `ttl` from the last heartbeat.
    pub fn hand_over(mut self) -> FencingToken {
        self.grant.armed = false;
        self.token()
    }

    /// Whether the claim ended early because other schedulers of its model failed and fewer
    /// than `min_serving` were left.
    #[must_use]
    pub fn has_yielded(&self) -> bool {
        self.grant.claim.has_yielded()
    }

    fn loss(&self) -> RequestError {
        let id = self.grant.scheduler.id();
        if self.has_yielded() {
            let (model, min) = (self.model().as_str(), self.grant.claim.min_serving);
            return RequestError::unavailable(format!(
                "the claim on scheduler {id} yielded: other schedulers of model {model:?} failed, and fewer than \
                 min_serving, which is {min}, would serve"
            ));
        }
        RequestError::unavailable(format!("the claim on scheduler {id} was lost"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeats.abort();
    }
}

/// A granted claim. Dropping it releases the claim.
pub(super) struct Grant {
    scheduler: Arc<dyn Scheduler>,
    claim: Arc<OpenClaim>,
    phase: watch::Receiver<ClaimPhase>,
    arbiter: ArbiterHandle,
    armed: bool,
}

impl Grant {
    pub(super) fn new(
        scheduler: Arc<dyn Scheduler>,
        claim: Arc<OpenClaim>,
        phase: watch::Receiver<ClaimPhase>,
        arbiter: ArbiterHandle,
    ) -> Self {
        Self { scheduler, claim, phase, arbiter, armed: true }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (scheduler, claim) = (Arc::clone(&self.scheduler), Arc::clone(&self.claim));
        // On the router's arbiter, because the holder's runtime may have just ended.
        self.arbiter.spawn(async move {
            if let Err(error) = claim.release(&*scheduler).await {
                tracing::warn!(%error, scheduler = %scheduler.id(), "cannot release a claim; it will expire");
            }
        });
    }
}

/// Renews the claim until it is lost. While the scheduler cannot be reached, the claim
/// counts as lost once it must have expired.
async fn keep_alive(scheduler: Arc<dyn Scheduler>, claim: Arc<OpenClaim>) {
    let mut ticks = tokio::time::interval(claim.ttl / HEARTBEATS_PER_TTL);
    let mut renewed = Instant::now();
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        match scheduler.heartbeat(claim.token).await {
            Ok(true) => renewed = asked,
            Ok(false) => break,
            Err(_) if renewed.elapsed() > claim.ttl => break,
            Err(error) => {
                tracing::warn!(%error, scheduler = %scheduler.id(), "cannot renew a claim");
            }
        }
    }
    claim.end();
}
