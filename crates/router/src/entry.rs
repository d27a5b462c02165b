//! One scheduler in the router's table, and what this router has sent to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::ModelId;
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use crate::RouterConfig;
use crate::breaker::BreakerState;
use crate::explain::ConsideredScheduler;
use crate::health::Health;
use crate::in_flight::InFlightWork;
use crate::metrics::SchedulerMetrics;
use crate::policy::{Candidate, hash_text};
use crate::slow_start::{FULL_SHARE, SlowStart};
use crate::state::{Obstacle, View};

/// See the module's first line.
pub(crate) struct Entry {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    /// The model that it serves: it never serves another.
    pub(crate) model: ModelId,
    /// A hash of its name, the same in every router.
    pub(crate) key: u64,
    pub(crate) work: Arc<InFlightWork>,
    pub(crate) metrics: SchedulerMetrics,
    pub(crate) health: Health,
    snapshot: watch::Receiver<SchedulerSnapshot>,
    slow_start: SlowStart,
}

impl Entry {
    pub(crate) fn new(scheduler: Arc<dyn Scheduler>, config: &RouterConfig) -> Self {
        let snapshot = scheduler.snapshot();
        let model = snapshot.borrow().model.clone();
        let metrics = SchedulerMetrics::new(&model, scheduler.id(), config.policy);
        let health = Health::new(config.breaker, metrics.breaker.clone());
        let key = hash_text(scheduler.id().as_str());
        let (work, slow_start) = (Arc::default(), SlowStart::default());
        Self { scheduler, model, key, work, metrics, health, snapshot, slow_start }
    }

    /// What is known of it now. Its own counts include other routers' requests,
    /// but lag; ours are exact for what we sent: the larger is nearer the truth.
    pub(crate) fn view(&mut self, slot: usize, matches: &[(u64, u32)], slow_start: Duration, now: Instant) -> View<'_> {
        let snapshot = self.snapshot.borrow();
        let state = snapshot.state;
        let claim = snapshot.claim.as_ref().map(|claim| claim.token);
        let requests = snapshot.running + snapshot.waiting_total();
        let candidate = Candidate {
            slot,
            key: self.key,
            work_tokens: snapshot.outstanding_tokens.max(self.work.tokens()),
            requests: requests.max(self.work.requests()),
            batch_size_max: snapshot.batch_size_max.max(1),
            matched_blocks: matches.iter().find(|(key, _)| *key == self.key).map_or(0, |&(_, length)| length),
        };
        drop(snapshot);
        let share = self.slow_start.share(state == SchedulerState::Serving, slow_start, now);
        View { id: self.scheduler.id(), state, claim, admitted: self.health.admits(now), share, candidate }
    }

    /// A view, as people read it.
    pub(crate) fn considered(view: &View<'_>, obstacle: Option<Obstacle>) -> ConsideredScheduler {
        ConsideredScheduler {
            id: view.id.clone(),
            state: view.state,
            breaker: if view.admitted { BreakerState::Closed } else { BreakerState::Open },
            share: f64::from(view.share) / f64::from(FULL_SHARE),
            work_tokens: view.candidate.work_tokens,
            requests: view.candidate.requests,
            batch_size_max: view.candidate.batch_size_max,
            matched_blocks: view.candidate.matched_blocks,
            obstacle: obstacle.map(Obstacle::as_str),
        }
    }
}
