//! The handle on a scheduler at a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use hostler_protocol::SchedulerId;
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

use super::link::Link;

/// A scheduler of a worker. The handle stays valid while the worker is lost.
pub struct RemoteScheduler {
    /// What it is called here.
    pub(super) id: SchedulerId,
    /// What the worker calls it.
    pub(super) name: String,
    pub(super) link: Arc<Link>,
    board: watch::Sender<SchedulerSnapshot>,
    /// Processes replaced, besides the engines that were replaced in the present one.
    processes: AtomicU32,
    /// The worker is leaving, whatever it says of this one.
    retired: AtomicBool,
}

impl RemoteScheduler {
    /// A scheduler that a worker told of.
    pub(super) fn new(id: SchedulerId, link: Arc<Link>, snapshot: SchedulerSnapshot) -> Self {
        let name = snapshot.id.as_str().to_owned();
        let board = watch::Sender::new(SchedulerSnapshot { id: id.clone(), ..snapshot });
        Self { id, name, link, board, processes: AtomicU32::new(0), retired: AtomicBool::new(false) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.board.subscribe()
    }

    /// What the worker says of it.
    pub(super) fn show(&self, snapshot: SchedulerSnapshot) {
        let restarts = snapshot.restarts.saturating_add(self.processes.load(Ordering::Relaxed));
        let snapshot = SchedulerSnapshot { id: self.id.clone(), restarts, ..snapshot };
        // Looked at under the board's lock, so that no snapshot that was on its way can undo it.
        self.board.send_modify(move |board| {
            *board = snapshot;
            self.hide_if_retired(board);
        });
    }

    /// The worker is leaving: what runs is finished, and nothing new shall come.
    pub(super) fn retire(&self) {
        self.board.send_modify(|board| {
            self.retired.store(true, Ordering::Relaxed);
            self.hide_if_retired(board);
        });
    }

    fn hide_if_retired(&self, board: &mut SchedulerSnapshot) {
        if self.retired.load(Ordering::Relaxed) && board.state == SchedulerState::Serving {
            board.state = SchedulerState::Draining;
        }
    }

    /// The process that holds it is replaced.
    pub(crate) fn count_restart(&self) {
        self.processes.fetch_add(1, Ordering::Relaxed);
        self.board.send_modify(|snapshot| snapshot.restarts = snapshot.restarts.saturating_add(1));
    }

    /// The worker is lost: what it was is kept, what it did is over. Where it had failed
    /// already, what was said then is nearer to the cause.
    pub(super) fn lost(&self, why: &str) {
        if self.board.borrow().state != SchedulerState::Failed {
            self.failed(why);
        }
    }

    /// The worker is lost, by who knows why.
    pub(super) fn failed(&self, why: &str) {
        self.ended(SchedulerState::Failed, Some(why.to_owned()));
    }

    /// The worker was let go.
    pub(super) fn stopped(&self) {
        self.ended(SchedulerState::Stopped, None);
    }

    fn ended(&self, state: SchedulerState, failure: Option<String>) {
        self.board.send_modify(|snapshot| {
            let mut ended =
                SchedulerSnapshot::starting(self.id.clone(), snapshot.model.clone(), snapshot.batch_size_max);
            ended.state = state;
            ended.failure = failure;
            ended.description = snapshot.description.take();
            ended.steps = snapshot.steps;
            ended.restarts = snapshot.restarts;
            *snapshot = ended;
        });
    }
}
