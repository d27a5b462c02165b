//! Follows a claim from its grant to its end, as its scheduler shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostler_protocol::FencingToken;
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use super::ledger::RecordedClaim;
use crate::Router;
use crate::metrics::{ClaimMetrics, ClaimOutcome};

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The scheduler finishes, or ends, what it has of others.
    Draining,
    /// It is the holder's.
    Claimed {
        /// How long it took to become so.
        drain: Duration,
    },
    /// It is over: released, expired, or gone with its engine.
    Ended,
}

/// What is shared about a claim.
pub(super) struct Followed {
    pub(super) token: FencingToken,
    pub(super) record: RecordedClaim,
    pub(super) ttl: Duration,
    since: Instant,
    phase: watch::Sender<Phase>,
    released: AtomicBool,
    settled: AtomicBool,
}

impl Followed {
    pub(super) fn new(
        token: FencingToken,
        record: RecordedClaim,
        ttl: Duration,
    ) -> (Arc<Self>, watch::Receiver<Phase>) {
        let (phase, receiver) = watch::channel(Phase::Draining);
        let (released, settled) = (AtomicBool::new(false), AtomicBool::new(false));
        (Arc::new(Self { token, record, ttl, since: Instant::now(), phase, released, settled }), receiver)
    }

    /// The holder gives it back: its end will not be a loss.
    pub(super) fn note_release(&self) {
        self.released.store(true, Ordering::Release);
    }

    /// The scheduler has shown the claim, or has taken it back: from now on its
    /// snapshot says more than the ledger.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// It is known to have ended, though the scheduler may not show it yet.
    pub(super) fn end(&self) {
        self.phase.send_replace(Phase::Ended);
    }

    fn is_shown(&self, snapshot: &SchedulerSnapshot) -> bool {
        snapshot.claim.as_ref().is_some_and(|claim| claim.token == self.token)
    }
}

/// Notes when the claim takes effect and when it ends, for its holder, the metrics
/// and the ledger.
pub(super) async fn follow(router: Router, scheduler: Arc<dyn Scheduler>, followed: Arc<Followed>) {
    let metrics = ClaimMetrics::granted(&followed.record.model, &followed.record.scheduler);
    let mut phase = followed.phase.subscribe();
    tokio::select! {
        () = watch_it(&*scheduler, &followed, &metrics) => followed.end(),
        // A claim that was short may never be seen in a snapshot, but its holder knows. The
        // sender is in what is held here.
        _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
    }
    let released = followed.released.load(Ordering::Acquire);
    metrics.ended(if released { ClaimOutcome::Released } else { ClaimOutcome::Lost });
    let claims = router.claims();
    // In this order: whoever sees the one undone sees the other done.
    claims.changes.fetch_add(1, Ordering::AcqRel);
    claims.open.remove(&followed.token);
    if let Err(error) = claims.ledger.forget(followed.record.id).await {
        tracing::warn!(%error, scheduler = %followed.record.scheduler, "a claim has ended, and the ledger does not hear of it");
    }
}

/// Returns when the scheduler does not show the claim any more, or is gone.
async fn watch_it(scheduler: &dyn Scheduler, followed: &Followed, metrics: &ClaimMetrics) {
    let mut snapshot = scheduler.snapshot();
    // What a scheduler elsewhere shows lags behind what it has answered.
    let shown = snapshot.wait_for(|now| followed.is_shown(now));
    if !matches!(tokio::time::timeout(followed.ttl, shown).await, Ok(Ok(_))) {
        return;
    }
    followed.settle();
    let settled = snapshot.wait_for(|now| now.state == SchedulerState::Claimed || !followed.is_shown(now));
    let claimed = settled.await.is_ok_and(|now| followed.is_shown(&now));
    if claimed {
        let drain = followed.since.elapsed();
        metrics.drained(drain);
        followed.phase.send_replace(Phase::Claimed { drain });
        // An error means that the scheduler is gone, and the claim with it.
        let _ = snapshot.wait_for(|now| !followed.is_shown(now)).await;
    }
}
