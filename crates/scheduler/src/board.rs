//! The board on which a scheduler's snapshot stands for all to read.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::SchedulerSnapshot;
use crate::metrics::SchedulerMetrics;

/// The latest snapshot, and the gauges that show the same.
///
/// An actor writes under the number of its incarnation; once the owner has moved
/// on, what a late actor writes is ignored.
pub(crate) struct Board {
    incarnation: Mutex<u64>,
    snapshot: watch::Sender<SchedulerSnapshot>,
    metrics: Arc<SchedulerMetrics>,
}

impl Board {
    pub(crate) fn new(snapshot: SchedulerSnapshot, metrics: Arc<SchedulerMetrics>) -> Self {
        metrics.show(&snapshot);
        Self { incarnation: Mutex::new(0), snapshot: watch::Sender::new(snapshot), metrics }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    /// Changes the snapshot, if `incarnation` is still the present one.
    pub(crate) fn publish(&self, incarnation: u64, change: impl FnOnce(&mut SchedulerSnapshot)) {
        let present = self.incarnation.lock().unwrap_or_else(PoisonError::into_inner);
        if *present == incarnation {
            self.change(change);
        }
    }

    /// Changes the snapshot and begins a new incarnation, whose number is returned.
    pub(crate) fn supersede(&self, change: impl FnOnce(&mut SchedulerSnapshot)) -> u64 {
        let mut present = self.incarnation.lock().unwrap_or_else(PoisonError::into_inner);
        *present += 1;
        self.change(change);
        *present
    }

    fn change(&self, change: impl FnOnce(&mut SchedulerSnapshot)) {
        self.snapshot.send_modify(|snapshot| {
            change(snapshot);
            // Before anyone is told: who waits for a snapshot finds the same gauges.
            self.metrics.show(snapshot);
        });
    }
}
