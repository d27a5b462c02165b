//! The router's table of schedulers: what it knows of each and has sent to each. The
//! router actor owns it; the [`Directory`](super::Directory) shows its schedulers to
//! everyone else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_config::RouterConfig;
use hostler_protocol::{ModelId, RequestError, SchedulerId};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use hostler_util::stable_hash;
use tokio::sync::watch;

use super::health::Health;
use super::in_flight::InFlightWork;
use crate::decision::SchedulerView;
use crate::decision::slow_start::SlowStart;
use crate::metrics::SchedulerMetrics;
use crate::policy::Candidate;

/// Every scheduler that requests may be sent to.
pub(crate) type Schedulers = Arc<[Arc<dyn Scheduler>]>;

/// All entries, in the order in which the schedulers were added.
pub(crate) struct Table {
    entries: Vec<Entry>,
    published: watch::Sender<Schedulers>,
}

impl Table {
    pub(crate) fn new(published: watch::Sender<Schedulers>) -> Self {
        Self { entries: Vec::new(), published }
    }

    /// Adds a scheduler. One of the same name is replaced.
    pub(crate) fn add(&mut self, scheduler: Arc<dyn Scheduler>, config: &RouterConfig) {
        let entry = Entry::new(scheduler, config);
        self.entries.retain(|other| other.scheduler.id() != entry.scheduler.id());
        self.entries.push(entry);
        self.publish();
    }

    /// Removes a scheduler. Whether there was one.
    pub(crate) fn remove(&mut self, id: &SchedulerId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.scheduler.id() != id);
        self.publish();
        self.entries.len() < before
    }

    pub(crate) fn entry(&self, slot: usize) -> &Entry {
        &self.entries[slot]
    }

    /// The model's schedulers as they are now. `matches` are the lengths of the prompt's
    /// known prefixes, by the schedulers' keys.
    ///
    /// # Errors
    /// `NotFound` if no scheduler has the model.
    pub(crate) fn views(
        &mut self,
        model: &ModelId,
        matches: &[(u64, u32)],
        config: &RouterConfig,
        now: Instant,
    ) -> Result<Vec<SchedulerView<'_>>, RequestError> {
        self.entries.iter_mut().for_each(|entry| entry.follow_model(config));
        if !self.entries.iter().any(|entry| entry.model == *model) {
            let served = self.entries.iter().map(|entry| entry.model.as_str());
            return Err(RequestError::unknown_model(model.as_str(), served));
        }
        let of_model = self.entries.iter_mut().enumerate().filter(|(_, entry)| entry.model == *model);
        Ok(of_model.map(|(slot, entry)| entry.view(slot, matches, config.slow_start, now)).collect())
    }

    fn publish(&self) {
        self.published.send_replace(self.entries.iter().map(|entry| Arc::clone(&entry.scheduler)).collect());
    }
}

/// One scheduler, and what this router has sent to it.
pub(crate) struct Entry {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    /// A hash of the scheduler's name, the same in every router.
    pub(crate) key: u64,
    pub(crate) work: Arc<InFlightWork>,
    pub(crate) metrics: SchedulerMetrics,
    pub(crate) health: Health,
    /// The model when the scheduler was last examined.
    model: ModelId,
    snapshot: watch::Receiver<SchedulerSnapshot>,
    slow_start: SlowStart,
}

impl Entry {
    fn new(scheduler: Arc<dyn Scheduler>, config: &RouterConfig) -> Self {
        let snapshot = scheduler.snapshot();
        let model = snapshot.borrow().model.clone();
        let metrics = SchedulerMetrics::new(&model, scheduler.id(), config.policy);
        let health = Health::new(config, metrics.breaker.clone());
        let key = stable_hash(scheduler.id().as_str().as_bytes());
        let (work, slow_start) = (Arc::default(), SlowStart::default());
        Self { scheduler, key, work, metrics, health, model, snapshot, slow_start }
    }

    /// A worker may come back with another model under the same name. That is another
    /// scheduler: nothing that is known of the one before holds for it.
    fn follow_model(&mut self, config: &RouterConfig) {
        if self.snapshot.borrow().model != self.model {
            *self = Self::new(Arc::clone(&self.scheduler), config);
        }
    }

    /// The scheduler's own counts include other routers' requests but lag; this router's
    /// are exact for what it has sent. The larger of the two is nearer the truth.
    fn view(&mut self, slot: usize, matches: &[(u64, u32)], slow_start: Duration, now: Instant) -> SchedulerView<'_> {
        let snapshot = self.snapshot.borrow();
        let state = snapshot.state;
        let claim = snapshot.claim.as_ref().map(|claim| claim.token);
        let requests = snapshot.running.saturating_add(snapshot.waiting_total());
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
        let (breaker, admits, failing) = self.health.view(now);
        SchedulerView { id: self.scheduler.id(), state, claim, breaker, admits, failing, share, candidate }
    }
}
