//! One scheduler in a model's table: where its state and load come from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_config::RouterConfig;
use hostler_protocol::{ModelDescription, ModelId};
use hostler_scheduler::{Abilities, Scheduler, SchedulerSnapshot, SchedulerState};
use hostler_util::stable_hash;
use tokio::sync::watch;

use super::health::Health;
use super::in_flight::InFlightWork;
use crate::decision::SchedulerView;
use crate::decision::slow_start::SlowStart;
use crate::metrics::SchedulerMetrics;
use crate::policy::{Cache, Candidate};

/// One scheduler, and what this router has sent to it.
pub(crate) struct Entry {
    pub(super) scheduler: Arc<dyn Scheduler>,
    pub(super) work: Arc<InFlightWork>,
    pub(super) metrics: SchedulerMetrics,
    pub(super) health: Health,
    /// The number of the last choice of this scheduler.
    pub(super) turn: u64,
    /// Identifies what the engine has read: another one after each restart.
    pub(super) cache: Cache,
    restarts: u32,
    key: u64,
    snapshot: watch::Receiver<SchedulerSnapshot>,
    slow_start: SlowStart,
    described: Option<(Arc<ModelDescription>, Abilities)>,
}

impl Entry {
    pub(super) fn new(
        scheduler: Arc<dyn Scheduler>,
        model: &ModelId,
        config: &RouterConfig,
        turn: u64,
        cache: Cache,
    ) -> Self {
        let snapshot = scheduler.snapshot();
        let metrics = SchedulerMetrics::new(model, scheduler.id(), config);
        let health = Health::new(config, metrics.breaker.clone());
        let key = stable_hash(scheduler.id().as_str().as_bytes());
        let restarts = snapshot.borrow().restarts;
        Self {
            scheduler,
            work: Arc::default(),
            metrics,
            health,
            turn,
            cache,
            restarts,
            key,
            snapshot,
            slow_start: SlowStart::default(),
            described: None,
        }
    }

    /// Whether the scheduler may differ from how it was last read, `view`.
    pub(super) fn has_changed(&self, view: &SchedulerView) -> bool {
        // An error means that the scheduler is gone, perhaps after a change.
        self.snapshot.has_changed().unwrap_or(true) || view.admits != self.health.is_closed() || !view.admits
    }

    /// Reads the scheduler. `None` if it has another model now.
    ///
    /// The scheduler's own counts include other routers' requests but lag; this router's
    /// are exact for what it has sent. The larger of the two is nearer the truth.
    pub(super) fn read(
        &mut self,
        slot: usize,
        model: &ModelId,
        caches: &mut u64,
        slow_start: Duration,
        now: Instant,
    ) -> Option<SchedulerView> {
        let snapshot = self.snapshot.borrow_and_update();
        if snapshot.model != *model {
            return None;
        }
        if snapshot.restarts != self.restarts || snapshot.state == SchedulerState::Failed {
            self.restarts = snapshot.restarts;
            self.cache = next_cache(slot, caches);
        }
        let (state, claim) = (snapshot.state, snapshot.claim.as_ref().map(|claim| claim.token));
        let abilities = abilities(&mut self.described, snapshot.description.as_ref());
        let requests = snapshot.running.saturating_add(snapshot.waiting_total());
        let candidate = Candidate {
            slot,
            key: self.key,
            turn: self.turn,
            work_tokens: snapshot.outstanding_tokens.max(self.work.tokens()),
            requests: requests.max(self.work.requests()),
            batch_size_max: snapshot.batch_size_max.max(1),
        };
        drop(snapshot);
        let share = self.slow_start.share(state == SchedulerState::Serving, slow_start, now);
        let (breaker, admits, failing) = self.health.view(now);
        let id = self.scheduler.id().clone();
        Some(SchedulerView { id, state, claim, breaker, admits, failing, share, abilities, candidate })
    }
}

/// Another cache for the scheduler in this slot; `caches` counts them.
pub(super) fn next_cache(slot: usize, caches: &mut u64) -> Cache {
    *caches += 1;
    Cache::new(slot, *caches)
}

/// What the described model can do, computed once for each description.
fn abilities(
    known: &mut Option<(Arc<ModelDescription>, Abilities)>,
    description: Option<&Arc<ModelDescription>>,
) -> Option<Abilities> {
    let description = description?;
    match known {
        Some((same, abilities)) if Arc::ptr_eq(same, description) => Some(*abilities),
        _ => {
            let abilities = Abilities::of(description);
            *known = Some((Arc::clone(description), abilities));
            Some(abilities)
        }
    }
}
