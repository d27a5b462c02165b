//! The closed loop: so many requests in flight, a new one when one ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::{Run, collect};
use crate::measure::RequestRecord;

pub(super) async fn drive(run: Run, in_flight: u32) -> Vec<RequestRecord> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..u64::from(in_flight).min(run.conversations()) {
        workers.spawn(work(run.clone(), Arc::clone(&next)));
    }
    collect(workers).await.into_iter().flatten().collect()
}

/// One conversation after the other, until none is left.
async fn work(run: Run, next: Arc<AtomicU64>) -> Vec<RequestRecord> {
    let mut records = Vec::new();
    while !run.is_over() {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= run.conversations() {
            break;
        }
        records.extend(run.converse(nth, run.opening(nth), None).await);
    }
    records
}
