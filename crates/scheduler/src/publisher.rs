//! Publishes a scheduler's snapshot and the gauges that show the same values.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::SchedulerSnapshot;
use crate::metrics::SchedulerMetrics;

/// The latest snapshot of a scheduler.
///
/// An actor publishes under the number of its incarnation. Once the supervisor has begun
/// another incarnation, late updates of the earlier one are ignored.
pub(crate) struct SnapshotPublisher {
    incarnation: Mutex<u64>,
    snapshot: watch::Sender<SchedulerSnapshot>,
    metrics: Arc<SchedulerMetrics>,
}

impl SnapshotPublisher {
    pub(crate) fn new(snapshot: SchedulerSnapshot, metrics: Arc<SchedulerMetrics>) -> Self {
        metrics.show(&snapshot);
        Self { incarnation: Mutex::new(0), snapshot: watch::Sender::new(snapshot), metrics }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    /// Changes the snapshot if `incarnation` is the current one.
    pub(crate) fn publish(&self, incarnation: u64, change: impl FnOnce(&mut SchedulerSnapshot)) {
        let current = self.incarnation.lock();
        if *current == incarnation {
            self.change(change);
        }
    }

    /// Changes the snapshot and begins another incarnation; returns its number.
    pub(crate) fn begin_incarnation(&self, change: impl FnOnce(&mut SchedulerSnapshot)) -> u64 {
        let mut current = self.incarnation.lock();
        *current += 1;
        self.change(change);
        *current
    }

    fn change(&self, change: impl FnOnce(&mut SchedulerSnapshot)) {
        self.snapshot.send_modify(|snapshot| {
            change(snapshot);
            // Before the receivers are notified, so that they see matching gauges.
            self.metrics.show(snapshot);
        });
    }
}
