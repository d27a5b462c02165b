//! Claims: one holder gets a scheduler to itself, while enough others go on serving.
//!
//! The scheduler is the authority over its claim. The router chooses the scheduler
//! ([`selection`], pure), makes sure that simultaneous claims do not together leave fewer
//! than `min_serving` (one claim at a time in this process, the [`ledger`] between
//! gateways), and watches each claim until it ends ([`open`]). Requests whose model is
//! kept from being served by claims alone wait for them at a gate ([`Gates`]). A claim that
//! others now need, because their schedulers failed, yields ([`guard`]).

mod guard;
mod lease;
mod ledger;
mod open;
mod selection;

use std::collections::HashSet;
use std::sync::Arc;

use actix::ArbiterHandle;
use hostler_protocol::{ClaimRequest, FencingToken, ModelId, RequestError, RequestId, SchedulerId};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use tokio::sync::oneshot;

pub use lease::Lease;
pub use ledger::{ClaimLedger, InProcessLedger, RecordedClaim};
pub use selection::{ClaimSelector, ClaimSpec};

use crate::directory::Directory;
use crate::gates::Gates;
use crate::metrics;
use lease::Grant;
use open::{OpenClaim, OpenClaims};
use selection::Claimable;

/// Makes claims and knows which are open. Clones share everything.
#[derive(Clone)]
pub(crate) struct Claims(Arc<Shared>);

struct Shared {
    directory: Directory,
    /// Where leases are released and claims are watched: it outlives their holders.
    arbiter: ArbiterHandle,
    ledger: Arc<dyn ClaimLedger>,
    /// Held while a claim is decided and made, so that the next one sees it.
    one_at_a_time: tokio::sync::Mutex<()>,
    open: Arc<OpenClaims>,
    gates: Gates,
}

impl Claims {
    pub(crate) fn new(directory: Directory, ledger: Arc<dyn ClaimLedger>, arbiter: ArbiterHandle) -> Self {
        metrics::show_refused_claims();
        let gates = Gates::new(directory.clone(), arbiter.clone(), is_held);
        let (one_at_a_time, open) = (tokio::sync::Mutex::default(), Arc::default());
        Self(Arc::new(Shared { directory, arbiter, ledger, one_at_a_time, open, gates }))
    }

    /// Claims a scheduler.
    ///
    /// # Errors
    /// As [`crate::Router::claim`].
    pub(crate) async fn claim(&self, spec: ClaimSpec) -> Result<Lease, RequestError> {
        let (reply, granted) = oneshot::channel();
        let claims = self.clone();
        // Not on the caller's task: a caller that is cancelled in between would leave a claim
        // behind that no one knows. Here, its grant is dropped, which releases the claim.
        self.0.arbiter.spawn(async move {
            let granted = claims.grant(spec).await;
            let _ = reply.send(granted);
        });
        let grant = granted.await.unwrap_or_else(|_| Err(RequestError::unavailable("the router has stopped")))?;
        Ok(Lease::keep(grant))
    }

    /// Renews a claim by its token. Whether it is still open.
    pub(crate) async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError> {
        match self.claimed_under(token) {
            Some(scheduler) => scheduler.heartbeat(token).await,
            None => Ok(false),
        }
    }

    /// Ends a claim by its token. Whether it was still open.
    pub(crate) async fn release(&self, token: FencingToken) -> Result<bool, RequestError> {
        let Some(scheduler) = self.claimed_under(token) else { return Ok(false) };
        match self.0.open.get(token) {
            Some(claim) => claim.release(&*scheduler).await,
            None => scheduler.release(token).await,
        }
    }

    /// A counter of claims made and ended, to pass to [`may_hold`](Self::may_hold).
    pub(crate) fn changes(&self) -> u64 {
        self.0.open.changes()
    }

    /// Whether claims may be what keeps the model from being served, or have done so since
    /// [`changes`](Self::changes) was `seen`.
    pub(crate) fn may_hold(&self, model: &ModelId, seen: u64) -> bool {
        self.0.open.holds(model) || self.0.open.changes() != seen || self.0.gates.is_closed(model)
    }

    /// Where requests wait while claims keep their model from being served.
    pub(crate) fn gate(&self) -> &Gates {
        &self.0.gates
    }

    fn claimed_under(&self, token: FencingToken) -> Option<Arc<dyn Scheduler>> {
        let is_claimed = |scheduler: &&Arc<dyn Scheduler>| {
            scheduler.snapshot().borrow().claim.as_ref().is_some_and(|claim| claim.token == token)
        };
        self.0.directory.schedulers().iter().find(is_claimed).cloned()
    }

    async fn grant(&self, spec: ClaimSpec) -> Result<Grant, RequestError> {
        let _turn = self.0.one_at_a_time.lock().await;
        let result = self.decide_and_claim(&spec).await;
        if let Err(error) = &result {
            metrics::claim_refused(error.code);
        }
        result
    }

    /// Records the claim in the ledger, and checks whether it is still allowed given what
    /// other gateways have recorded. If it is not, chooses again.
    async fn decide_and_claim(&self, spec: &ClaimSpec) -> Result<Grant, RequestError> {
        let schedulers = self.0.directory.schedulers();
        let mut recorded: HashSet<SchedulerId> = HashSet::new();
        // Each further round excludes at least one scheduler, or finds one free again.
        for _ in 0..=schedulers.len() {
            let views: Vec<Claimable> = schedulers.iter().map(|one| Claimable::new(&**one, &recorded)).collect();
            let slot = selection::choose(&views, spec)?;
            let record = RecordedClaim {
                id: RequestId::new(),
                scheduler: views[slot].id.clone(),
                model: views[slot].model.clone(),
                owner: spec.owner.clone(),
                ttl: spec.ttl,
            };
            let earlier = self.0.ledger.record(&record).await?;
            // The snapshots say more about this router's confirmed claims than the ledger.
            let unconfirmed = earlier.into_iter().filter(|other| !self.0.open.is_confirmed(other.id));
            let others: HashSet<SchedulerId> = unconfirmed.map(|other| other.scheduler).collect();
            // Records of schedulers that are unknown here, or not free anyway, change nothing.
            if !views.iter().any(|view| view.is_free && others.contains(&view.id)) {
                return self.make(Arc::clone(&schedulers[slot]), record, spec).await;
            }
            self.0.ledger.forget(record.id).await?;
            recorded = others;
        }
        Err(RequestError::unavailable(
            "other gateways are claiming schedulers of this model at the same time; try again",
        ))
    }

    async fn make(
        &self,
        scheduler: Arc<dyn Scheduler>,
        record: RecordedClaim,
        spec: &ClaimSpec,
    ) -> Result<Grant, RequestError> {
        let request = ClaimRequest { owner: spec.owner.clone(), ttl: spec.ttl, drain: spec.drain };
        let token = match scheduler.claim(request).await {
            Ok(token) => token,
            Err(error) => {
                if let Err(unrecorded) = self.0.ledger.forget(record.id).await {
                    tracing::warn!(error = %unrecorded, "cannot remove a refused claim from the ledger");
                }
                return Err(error);
            }
        };
        let min_serving = if spec.force { 0 } else { spec.min_serving };
        let (claim, phase) = OpenClaim::new(token, record, spec.ttl, min_serving);
        self.0.open.insert(Arc::clone(&claim));
        let yields = guard::yield_when_needed(
            Arc::clone(&self.0.open),
            self.0.directory.clone(),
            Arc::clone(&scheduler),
            Arc::clone(&claim),
        );
        let watching = open::watch_until_end(
            Arc::clone(&self.0.open),
            yields,
            Arc::clone(&self.0.ledger),
            Arc::clone(&scheduler),
            Arc::clone(&claim),
        );
        self.0.arbiter.spawn(watching);
        Ok(Grant::new(scheduler, claim, phase, self.0.arbiter.clone()))
    }
}

/// Whether no scheduler serves the model and at least one of them is claimed.
fn is_held(snapshots: &[SchedulerSnapshot], model: &ModelId) -> bool {
    let of_model = || snapshots.iter().filter(|snapshot| snapshot.model == *model);
    of_model().any(|snapshot| snapshot.claim.is_some())
        && !of_model().any(|snapshot| snapshot.state == SchedulerState::Serving)
}
