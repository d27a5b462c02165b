//! A claim that somebody holds: kept alive while it is held, given back by drop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use hostler_protocol::{ErrorCode, FencingToken, ModelId, RequestError};
use hostler_scheduler::Scheduler;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::follow::{Followed, Phase};

/// Heartbeats in one `ttl`: two may be lost before the claim is.
const HEARTBEATS_PER_TTL: u32 = 3;

/// A claimed scheduler, or one that drains for its holder. Dropping it gives the
/// scheduler back.
pub struct Lease {
    grant: Grant,
    /// On the holder's own runtime: one that hangs does not keep a scheduler.
    heartbeats: JoinHandle<()>,
}

impl Lease {
    pub(super) fn keep(grant: Grant) -> Self {
        let heartbeats = tokio::spawn(keep_alive(Arc::clone(&grant.scheduler), Arc::clone(&grant.followed)));
        Self { grant, heartbeats }
    }

    /// What requests must carry.
    #[must_use]
    pub fn token(&self) -> FencingToken {
        self.grant.followed.token
    }

    /// The scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<dyn Scheduler> {
        &self.grant.scheduler
    }

    /// The model that it serves.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.grant.followed.record.model
    }

    /// Waits until the scheduler has nothing of others any more. How long that
    /// took, from the grant.
    ///
    /// # Errors
    /// `Unavailable`, if the claim ended first.
    pub async fn wait_until_claimed(&self) -> Result<Duration, RequestError> {
        let mut phase = self.grant.phase.clone();
        let settled = phase.wait_for(|phase| *phase != Phase::Draining).await.map(|phase| *phase);
        match settled {
            Ok(Phase::Claimed { drain }) => Ok(drain),
            _ => Err(self.loss()),
        }
    }

    /// Waits until the claim has ended otherwise than by its holder: it expired
    /// because heartbeats did not get through, somebody released it by its number,
    /// or the engine failed. Gives the error to report.
    pub async fn lost(&self) -> RequestError {
        let mut phase = self.grant.phase.clone();
        // An error means that nobody follows the claim any more: the router is gone.
        let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
        self.loss()
    }

    /// Gives the scheduler back, and waits until it is. Whether it still was ours.
    ///
    /// # Errors
    /// `Unavailable`, if it cannot be reached: the claim then ends by its `ttl`.
    pub async fn release(mut self) -> Result<bool, RequestError> {
        self.heartbeats.abort();
        self.grant.armed = false;
        give_back(&*self.grant.scheduler, &self.grant.followed).await
    }

    /// Leaves the claim to whoever knows its number, with
    /// [`crate::Router::heartbeat_claim`] and [`crate::Router::release_claim`]. It
    /// lasts for another `ttl` from the last heartbeat.
    pub fn hand_over(mut self) -> FencingToken {
        self.grant.armed = false;
        self.token()
    }

    fn loss(&self) -> RequestError {
        let id = self.grant.scheduler.id();
        RequestError::new(ErrorCode::Unavailable, format!("the claim on scheduler {id} was lost"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeats.abort();
    }
}

/// A claim that was granted. Dropping it gives the scheduler back.
pub(super) struct Grant {
    scheduler: Arc<dyn Scheduler>,
    followed: Arc<Followed>,
    phase: watch::Receiver<Phase>,
    arbiter: ArbiterHandle,
    armed: bool,
}

impl Grant {
    pub(super) fn new(
        scheduler: Arc<dyn Scheduler>,
        followed: Arc<Followed>,
        phase: watch::Receiver<Phase>,
        arbiter: ArbiterHandle,
    ) -> Self {
        Self { scheduler, followed, phase, arbiter, armed: true }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (scheduler, followed) = (Arc::clone(&self.scheduler), Arc::clone(&self.followed));
        // By the router's arbiter: the holder's runtime may be what has just ended.
        self.arbiter.spawn(async move {
            if let Err(error) = give_back(&*scheduler, &followed).await {
                tracing::warn!(%error, scheduler = %scheduler.id(), "cannot release a claim; it will expire");
            }
        });
    }
}

/// Whether the scheduler still was the holder's.
pub(super) async fn give_back(scheduler: &dyn Scheduler, followed: &Followed) -> Result<bool, RequestError> {
    followed.note_release();
    let was_ours = scheduler.release(followed.token).await?;
    followed.settle();
    followed.end();
    Ok(was_ours)
}

/// Renews the claim until it is lost. Where nobody knows whether it is, it counts
/// as lost once it must have expired.
async fn keep_alive(scheduler: Arc<dyn Scheduler>, followed: Arc<Followed>) {
    let mut ticks = tokio::time::interval(followed.ttl / HEARTBEATS_PER_TTL);
    let mut renewed = Instant::now();
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        match scheduler.heartbeat(followed.token).await {
            Ok(true) => renewed = asked,
            Ok(false) => break,
            Err(_) if renewed.elapsed() > followed.ttl => break,
            Err(error) => {
                tracing::warn!(%error, scheduler = %scheduler.id(), "a claim's heartbeat did not get through");
            }
        }
    }
    followed.end();
}
