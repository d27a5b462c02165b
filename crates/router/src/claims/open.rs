//! The claims that this router has made and that have not ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use hostler_protocol::{FencingToken, ModelId, RequestError, RequestId};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use super::ledger::{ClaimLedger, RecordedClaim};
use crate::metrics::{ClaimMetrics, ClaimOutcome};

/// All open claims, by token.
#[derive(Default)]
pub(super) struct OpenClaims {
    claims: DashMap<FencingToken, Arc<OpenClaim>>,
    changes: AtomicU64,
}

impl OpenClaims {
    pub(super) fn insert(&self, claim: Arc<OpenClaim>) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.claims.insert(claim.token, claim);
    }

    pub(super) fn get(&self, token: FencingToken) -> Option<Arc<OpenClaim>> {
        self.claims.get(&token).map(|entry| Arc::clone(entry.value()))
    }

    /// The number of claims made and ended so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether no later claim of this router on the model could yield before this one.
    pub(super) fn is_first_to_yield(&self, claim: &OpenClaim) -> bool {
        self.claims.iter().all(|other| {
            other.record.model != claim.record.model || other.min_serving == 0 || other.granted <= claim.granted
        })
    }

    /// Whether a claim on a scheduler of the model is open.
    pub(super) fn holds(&self, model: &ModelId) -> bool {
        self.claims.iter().any(|claim| claim.record.model == *model)
    }

    /// Whether the record is of a claim of this router that its scheduler has shown.
    pub(super) fn is_confirmed(&self, id: RequestId) -> bool {
        self.claims.iter().any(|claim| claim.record.id == id && claim.confirmed.load(Ordering::Acquire))
    }

    fn remove(&self, token: FencingToken) {
        // In this order, so that a reader who sees the claim gone also sees the count changed.
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.claims.remove(&token);
    }
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimPhase {
    /// The scheduler finishes or ends the requests of others.
    Draining,
    /// The holder has the scheduler.
    Claimed {
        /// How long the drain took.
        drain: Duration,
    },
    /// The claim was released, has expired, or ended with its engine.
    Ended,
}

/// One claim, shared by its lease and the task that watches it.
pub(super) struct OpenClaim {
    pub(super) token: FencingToken,
    pub(super) record: RecordedClaim,
    pub(super) ttl: Duration,
    /// How many other schedulers of the model must serve while the claim is held.
    pub(super) min_serving: u32,
    pub(super) granted: Instant,
    phase: watch::Sender<ClaimPhase>,
    released: AtomicBool,
    /// Whether the claim ended early because the model needed its scheduler.
    yielded: AtomicBool,
    /// Whether the scheduler has shown the claim or released it: from then on, its
    /// snapshot says more than the ledger.
    confirmed: AtomicBool,
}

impl OpenClaim {
    pub(super) fn new(
        token: FencingToken,
        record: RecordedClaim,
        ttl: Duration,
        min_serving: u32,
    ) -> (Arc<Self>, watch::Receiver<ClaimPhase>) {
        let (phase, receiver) = watch::channel(ClaimPhase::Draining);
        let claim = Self {
            token,
            record,
            ttl,
            min_serving,
            granted: Instant::now(),
            phase,
            released: AtomicBool::default(),
            yielded: AtomicBool::default(),
            confirmed: AtomicBool::default(),
        };
        (Arc::new(claim), receiver)
    }

    /// Releases the claim. Whether it was still open.
    ///
    /// # Errors
    /// `Unavailable` if the scheduler cannot be reached.
    pub(super) async fn release(&self, scheduler: &dyn Scheduler) -> Result<bool, RequestError> {
        // First, so that the end is not counted as a loss.
        self.released.store(true, Ordering::Release);
        let was_open = scheduler.release(self.token).await?;
        self.confirmed.store(true, Ordering::Release);
        self.end();
        Ok(was_open)
    }

    /// Releases the claim because the model needs its scheduler, and tells its holder.
    ///
    /// # Errors
    /// `Unavailable` if the scheduler cannot be reached.
    pub(super) async fn give_way(&self, scheduler: &dyn Scheduler) -> Result<(), RequestError> {
        // First, so that the holder who sees the end also sees the reason.
        self.yielded.store(true, Ordering::Release);
        let released = self.release(scheduler).await;
        if released.is_err() {
            // It is still held.
            self.yielded.store(false, Ordering::Release);
            self.released.store(false, Ordering::Release);
        }
        released.map(|_| ())
    }

    /// Whether the claim ended early because the model needed its scheduler.
    pub(super) fn has_yielded(&self) -> bool {
        self.yielded.load(Ordering::Acquire)
    }

    /// The claim is known to have ended, even if the scheduler still shows it.
    pub(super) fn end(&self) {
        self.phase.send_replace(ClaimPhase::Ended);
    }

    fn is_shown(&self, snapshot: &SchedulerSnapshot) -> bool {
        snapshot.claim.as_ref().is_some_and(|claim| claim.token == self.token)
    }

    /// Returns when the scheduler does not show the claim any more, or is gone.
    async fn watch_snapshots(&self, scheduler: &dyn Scheduler, metrics: &ClaimMetrics) {
        let mut snapshot = scheduler.snapshot();
        // The snapshots of a remote scheduler lag behind its answers.
        let shown = snapshot.wait_for(|now| self.is_shown(now));
        if !matches!(tokio::time::timeout(self.ttl, shown).await, Ok(Ok(_))) {
            return;
        }
        self.confirmed.store(true, Ordering::Release);
        let drained = snapshot.wait_for(|now| now.state == SchedulerState::Claimed || !self.is_shown(now));
        let is_claimed = drained.await.is_ok_and(|now| self.is_shown(&now));
        if is_claimed {
            let drain = self.granted.elapsed();
            metrics.drained(drain);
            self.phase.send_replace(ClaimPhase::Claimed { drain });
            // An error means that the scheduler is gone, and the claim with it.
            let _ = snapshot.wait_for(|now| !self.is_shown(now)).await;
        }
    }
}

/// Watches a claim from its grant to its end, for its holder, the metrics and the ledger.
pub(super) async fn watch_until_end(
    open: Arc<OpenClaims>,
    yields: impl Future<Output = ()>,
    ledger: Arc<dyn ClaimLedger>,
    scheduler: Arc<dyn Scheduler>,
    claim: Arc<OpenClaim>,
) {
    let metrics = ClaimMetrics::granted(&claim.record.model, &claim.record.scheduler);
    let mut phase = claim.phase.subscribe();
    tokio::select! {
        () = claim.watch_snapshots(&*scheduler, &metrics) => claim.end(),
        () = yields => {}
        // A short claim may never be seen in a snapshot, but its holder ends it here. This
        // cannot fail: `claim` has the sender.
        _ = phase.wait_for(|phase| *phase == ClaimPhase::Ended) => {}
    }
    let released = claim.released.load(Ordering::Acquire);
    metrics.ended(match (claim.has_yielded(), released) {
        (true, _) => ClaimOutcome::Yielded,
        (false, true) => ClaimOutcome::Released,
        (false, false) => ClaimOutcome::Lost,
    });
    open.remove(claim.token);
    if let Err(error) = ledger.forget(claim.record.id).await {
        tracing::warn!(%error, scheduler = %claim.record.scheduler, "cannot remove an ended claim from the ledger");
    }
}
