//! Which request is at which scheduler, and how much work that is there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use dashmap::DashMap;
use hostler_protocol::RequestId;
use hostler_scheduler::Scheduler;
use hostler_telemetry::Gauge;
use tokio::sync::Notify;

/// What this router has sent to one scheduler and has not ended yet.
#[derive(Debug, Default)]
pub(crate) struct InFlightWork {
    tokens: AtomicU64,
    requests: AtomicU32,
}

impl InFlightWork {
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The scheduler of every request that has not ended: needed to cancel one.
#[derive(Default)]
pub(crate) struct InFlight {
    /// The scheduler that has the request, or to which it is being offered.
    at: DashMap<RequestId, Arc<dyn Scheduler>>,
    /// Requests between two schedulers. A cancellation notifies the migration.
    migrating: DashMap<RequestId, Arc<Notify>>,
}

impl InFlight {
    /// Cancels a request. Whether there was one.
    pub(crate) async fn cancel(&self, id: RequestId) -> bool {
        // First, because a migration also ends the offer that it is making.
        if let Some(cancelled) = self.migrating.get(&id) {
            cancelled.notify_one();
            return true;
        }
        let scheduler = self.at.get(&id).map(|entry| Arc::clone(entry.value()));
        match scheduler {
            Some(scheduler) => scheduler.cancel(id).await,
            None => false,
        }
    }

    /// How many requests are between two schedulers now.
    pub(crate) fn migrating(&self) -> usize {
        self.migrating.len()
    }

    /// Cancels every request.
    pub(crate) async fn cancel_all(&self) {
        let placed = self.at.iter().map(|entry| *entry.key());
        let all: HashSet<RequestId> = placed.chain(self.migrating.iter().map(|entry| *entry.key())).collect();
        futures::future::join_all(all.into_iter().map(|id| self.cancel(id))).await;
    }
}

/// Counts one request's work at one scheduler until it is dropped.
pub(crate) struct Held {
    work: Arc<InFlightWork>,
    tokens: u64,
    gauge: Gauge,
}

impl Held {
    pub(crate) fn new(work: Arc<InFlightWork>, tokens: u64, gauge: Gauge) -> Self {
        work.tokens.fetch_add(tokens, Ordering::Relaxed);
        work.requests.fetch_add(1, Ordering::Relaxed);
        gauge.increment(1.0);
        Self { work, tokens, gauge }
    }

    pub(crate) fn work(&self) -> &Arc<InFlightWork> {
        &self.work
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.work.tokens.fetch_sub(self.tokens, Ordering::Relaxed);
        self.work.requests.fetch_sub(1, Ordering::Relaxed);
        self.gauge.decrement(1.0);
    }
}

/// Lets a request be cancelled at its scheduler until it is dropped.
pub(crate) struct Placed {
    in_flight: Arc<InFlight>,
    id: RequestId,
}

impl Placed {
    pub(crate) fn new(in_flight: Arc<InFlight>, id: RequestId, scheduler: Arc<dyn Scheduler>) -> Self {
        in_flight.at.insert(id, scheduler);
        Self { in_flight, id }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.in_flight.at.remove(&self.id);
    }
}

/// A request that migrates from one scheduler to another. Until this is dropped, the
/// request can be cancelled.
pub(crate) struct Migrating {
    in_flight: Arc<InFlight>,
    id: RequestId,
    cancelled: Arc<Notify>,
}

impl Migrating {
    pub(crate) fn new(in_flight: Arc<InFlight>, id: RequestId) -> Self {
        let cancelled = Arc::new(Notify::new());
        in_flight.migrating.insert(id, Arc::clone(&cancelled));
        Self { in_flight, id, cancelled }
    }

    /// Returns when the request is cancelled.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Migrating {
    fn drop(&mut self) {
        self.in_flight.migrating.remove(&self.id);
    }
}
