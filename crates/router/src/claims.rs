//! Claims, asked for at the router: somebody gets one scheduler for themselves,
//! and enough of the others go on serving.
//!
//! The scheduler is the authority over its claim; the router chooses which one is
//! asked ([`decision`], pure), sees to it that claims made at once do not together
//! take more than `min_serving` allows (one after the other in this process, by
//! the [`ledger`] between gateways), and follows each claim to its end
//! ([`follow`]). What arrives for a model that only claims keep from being served
//! waits ([`waiting`]).

mod decision;
mod follow;
mod lease;
mod ledger;
mod waiting;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::ArbiterHandle;
use dashmap::DashMap;
use hostler_protocol::{
    ClaimDrain, ClaimRequest, ErrorCode, FencingToken, ModelId, RequestError, RequestId, SchedulerId,
};
use hostler_scheduler::Scheduler;
use tokio::sync::{oneshot, watch};

pub use lease::Lease;
pub use ledger::{ClaimLedger, InProcessLedger, RecordedClaim};

use crate::Router;
use crate::metrics::claim_refused;
use decision::{Claimable, Terms};
use follow::Followed;
use lease::Grant;

/// Which scheduler is wanted: this one, or any of a model (the least loaded).
/// With neither, any scheduler of the only model that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSelector {
    /// By name.
    pub scheduler: Option<SchedulerId>,
    /// By model.
    pub model: Option<ModelId>,
}

/// What a claim must be like: the terms of [`Router::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimSpec {
    /// On which scheduler.
    pub selector: ClaimSelector,
    /// Who wants it, for people to read.
    pub owner: String,
    /// How long it lasts without a heartbeat.
    pub ttl: Duration,
    /// What happens to the requests that the scheduler has.
    pub drain: ClaimDrain,
    /// So many schedulers of the model must go on serving.
    pub min_serving: u32,
    /// Whether to claim even if fewer than `min_serving` remain.
    pub force: bool,
}

impl ClaimSpec {
    /// A claim that lets the scheduler finish what it has and leaves one that
    /// serves. Its lease is renewed every ten seconds, so that a holder that died
    /// is noticed after half a minute.
    #[must_use]
    pub fn new(selector: ClaimSelector, owner: impl Into<String>) -> Self {
        let (ttl, drain) = (Duration::from_secs(30), ClaimDrain::Wait);
        Self { selector, owner: owner.into(), ttl, drain, min_serving: 1, force: false }
    }
}

/// What the router knows of claims.
pub(crate) struct Claims {
    /// Where leases are given back and followed: it outlives their holders.
    arbiter: ArbiterHandle,
    ledger: Arc<dyn ClaimLedger>,
    /// Held while a claim is decided on and made, so that the next one sees it.
    one_at_a_time: tokio::sync::Mutex<()>,
    /// Claims that this router has made and that have not ended.
    open: DashMap<FencingToken, Arc<Followed>>,
    /// Claims made and ended so far: a request that was refused meanwhile tries again.
    changes: AtomicU64,
    /// What requests wait for, by model.
    gates: Mutex<waiting::Gates>,
    /// Whether the router is shutting down, so that nobody shall wait.
    closing: watch::Sender<bool>,
}

impl Claims {
    pub(crate) fn new(ledger: Arc<dyn ClaimLedger>, arbiter: ArbiterHandle) -> Self {
        Self {
            arbiter,
            ledger,
            one_at_a_time: tokio::sync::Mutex::default(),
            open: DashMap::new(),
            changes: AtomicU64::new(0),
            gates: Mutex::default(),
            closing: watch::Sender::new(false),
        }
    }

    /// Whether a claim of this router is on a scheduler of the model, or was until just now.
    fn holds(&self, model: &ModelId) -> bool {
        self.open.iter().any(|followed| followed.record.model == *model)
    }

    /// Whether a record is of this router, and of a claim that its scheduler shows.
    fn is_settled(&self, id: RequestId) -> bool {
        self.open.iter().any(|followed| followed.record.id == id && followed.is_settled())
    }
}

impl Router {
    /// Claims a scheduler. The lease is kept alive by heartbeats from the caller's
    /// runtime until it is dropped; the scheduler is the holder's once
    /// [`Lease::wait_until_claimed`] returns.
    ///
    /// # Errors
    /// `NotFound` for an unknown scheduler or model, `InvalidRequest` where
    /// neither is named and several are served, `Unavailable` if the scheduler is
    /// not free or fewer than `min_serving` others would go on serving.
    pub async fn claim(&self, spec: ClaimSpec) -> Result<Lease, RequestError> {
        let (reply, granted) = oneshot::channel();
        let router = self.clone();
        // Not in the caller's task: a caller that leaves in between would leave a
        // claim behind that nobody knows. Here its grant is dropped, and with it released.
        self.claims().arbiter.spawn(async move {
            let granted = router.grant(spec).await;
            let _left = reply.send(granted);
        });
        let grant = granted.await.unwrap_or_else(|_| Err(stopped()))?;
        Ok(Lease::keep(grant))
    }

    /// Renews a claim by its number, whoever made it. Whether it still stands.
    ///
    /// # Errors
    /// `Unavailable`, if its scheduler cannot be reached.
    pub async fn heartbeat_claim(&self, token: FencingToken) -> Result<bool, RequestError> {
        match self.claimed_by(token) {
            Some(scheduler) => scheduler.heartbeat(token).await,
            None => Ok(false),
        }
    }

    /// Ends a claim by its number, whoever made it. Whether it still stood.
    ///
    /// # Errors
    /// `Unavailable`, if its scheduler cannot be reached.
    pub async fn release_claim(&self, token: FencingToken) -> Result<bool, RequestError> {
        let Some(scheduler) = self.claimed_by(token) else { return Ok(false) };
        let followed = self.claims().open.get(&token).map(|entry| Arc::clone(entry.value()));
        match followed {
            Some(followed) => lease::give_back(&*scheduler, &followed).await,
            None => scheduler.release(token).await,
        }
    }

    fn claimed_by(&self, token: FencingToken) -> Option<Arc<dyn Scheduler>> {
        let has = |scheduler: &Arc<dyn Scheduler>| {
            scheduler.snapshot().borrow().claim.as_ref().is_some_and(|claim| claim.token == token)
        };
        self.directory().iter().find(|scheduler| has(scheduler)).cloned()
    }

    async fn grant(&self, spec: ClaimSpec) -> Result<Grant, RequestError> {
        let claims = self.claims();
        let _turn = claims.one_at_a_time.lock().await;
        let result = self.decide_and_claim(&spec).await;
        if let Err(error) = &result {
            claim_refused(error.code);
        }
        result
    }

    /// Writes the claim into the ledger, and looks whether it is allowed in the
    /// light of what others have written; chooses again if it is not.
    async fn decide_and_claim(&self, spec: &ClaimSpec) -> Result<Grant, RequestError> {
        let claims = self.claims();
        let directory = self.directory();
        let mut recorded: HashSet<SchedulerId> = HashSet::new();
        // Each further round excludes at least one scheduler, or finds one free again.
        for _ in 0..=directory.len() {
            let views: Vec<Claimable> = directory.iter().map(|one| Claimable::of(&**one, &recorded)).collect();
            let terms = Terms { selector: &spec.selector, min_serving: spec.min_serving, force: spec.force };
            let slot = decision::choose(&views, terms)?;
            let record = RecordedClaim {
                id: RequestId::new(),
                scheduler: views[slot].id.clone(),
                model: views[slot].model.clone(),
                owner: spec.owner.clone(),
                ttl: spec.ttl,
            };
            let before = claims.ledger.record(&record).await?;
            let tells = |other: &RecordedClaim| !claims.is_settled(other.id);
            let others: HashSet<SchedulerId> = before.into_iter().filter(tells).map(|other| other.scheduler).collect();
            // One that is not free here does not count as one that serves, and neither does one
            // that is not known here: what is recorded of them changes nothing.
            let matters = |view: &Claimable| view.free && others.contains(&view.id);
            if !views.iter().any(matters) {
                return self.make(Arc::clone(&directory[slot]), record, spec).await;
            }
            claims.ledger.forget(record.id).await?;
            recorded = others;
        }
        Err(RequestError::new(
            ErrorCode::Unavailable,
            "others claim schedulers of this model at the same time; try again",
        ))
    }

    async fn make(
        &self,
        scheduler: Arc<dyn Scheduler>,
        record: RecordedClaim,
        spec: &ClaimSpec,
    ) -> Result<Grant, RequestError> {
        let claims = self.claims();
        let request = ClaimRequest { owner: spec.owner.clone(), ttl: spec.ttl, drain: spec.drain };
        let token = match scheduler.claim(request).await {
            Ok(token) => token,
            Err(error) => {
                if let Err(unheard) = claims.ledger.forget(record.id).await {
                    tracing::warn!(error = %unheard, "a claim was not made, and the ledger does not hear of it");
                }
                return Err(error);
            }
        };
        claims.changes.fetch_add(1, Ordering::AcqRel);
        let (followed, phase) = Followed::new(token, record, spec.ttl);
        claims.open.insert(token, Arc::clone(&followed));
        claims.arbiter.spawn(follow::follow(self.clone(), Arc::clone(&scheduler), Arc::clone(&followed)));
        Ok(Grant::new(scheduler, followed, phase, claims.arbiter.clone()))
    }
}

/// The arbiter is gone: the process is on its way out.
fn stopped() -> RequestError {
    RequestError::new(ErrorCode::Unavailable, "the router has stopped")
}
