//! The handle of a scheduler at a worker, and the snapshot that it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hostler_protocol::SchedulerId;
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use super::link::Link;

/// A scheduler of a worker. The handle stays valid while the worker is lost.
pub struct RemoteScheduler {
    /// Its id in this process.
    pub(super) id: SchedulerId,
    /// Its name at the worker.
    pub(super) name: String,
    pub(super) link: Arc<Link>,
    snapshot: watch::Sender<SchedulerSnapshot>,
    /// Processes that were replaced. The worker counts the engines that were replaced in the
    /// current process.
    process_restarts: AtomicU32,
    /// Whether the worker is leaving. Snapshots that it sends may not say so yet.
    retired: AtomicBool,
}

impl RemoteScheduler {
    pub(super) fn new(id: SchedulerId, link: Arc<Link>, snapshot: SchedulerSnapshot) -> Self {
        let name = snapshot.id.as_str().to_owned();
        let snapshot = watch::Sender::new(SchedulerSnapshot { id: id.clone(), ..snapshot });
        Self { id, name, link, snapshot, process_restarts: AtomicU32::new(0), retired: AtomicBool::new(false) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    /// Publishes a snapshot that the worker has sent.
    pub(super) fn update(&self, snapshot: SchedulerSnapshot) {
        let restarts = snapshot.restarts.saturating_add(self.process_restarts.load(Ordering::Relaxed));
        let snapshot = SchedulerSnapshot { id: self.id.clone(), restarts, ..snapshot };
        // `retired` is read under the channel's lock, so that a snapshot that was in transit
        // cannot undo `retire`.
        self.snapshot.send_modify(move |shown| {
            *shown = snapshot;
            self.hide_if_retired(shown);
        });
    }

    /// The worker is leaving: running requests finish, and no new ones are sent.
    pub(super) fn retire(&self) {
        self.snapshot.send_modify(|shown| {
            self.retired.store(true, Ordering::Relaxed);
            self.hide_if_retired(shown);
        });
    }

    fn hide_if_retired(&self, shown: &mut SchedulerSnapshot) {
        if self.retired.load(Ordering::Relaxed) && shown.state == SchedulerState::Serving {
            shown.state = SchedulerState::Draining;
        }
    }

    /// Counts that the process of this scheduler is replaced.
    pub(crate) fn count_process_restart(&self) {
        self.process_restarts.fetch_add(1, Ordering::Relaxed);
        self.snapshot.send_modify(|shown| shown.restarts = shown.restarts.saturating_add(1));
    }

    /// The worker is lost. A failure that is known already is kept: it is closer to the cause.
    pub(super) fn lost(&self, why: &str) {
        if self.snapshot.borrow().state != SchedulerState::Failed {
            self.failed(why);
        }
    }

    /// The worker is lost, and `why` is the cause.
    pub(super) fn failed(&self, why: &str) {
        self.end(SchedulerState::Failed, Some(why.to_owned()));
    }

    /// The worker is not a member any more.
    pub(super) fn stopped(&self) {
        self.end(SchedulerState::Stopped, None);
    }

    /// Keeps what the scheduler is, and clears its load.
    fn end(&self, state: SchedulerState, failure: Option<String>) {
        self.snapshot.send_modify(|shown| {
            let mut ended = SchedulerSnapshot::starting(self.id.clone(), shown.model.clone(), shown.batch_size_max);
            ended.state = state;
            ended.failure = failure;
            ended.description = shown.description.take();
            ended.vocabulary = shown.vocabulary;
            ended.steps = shown.steps;
            ended.restarts = shown.restarts;
            *shown = ended;
        });
    }
}
