//! How a worker's schedulers come to a router.

use std::collections::HashSet;
use std::sync::Arc;

use hostler_router::Router;
use hostler_scheduler::{Scheduler, SchedulerState};

use crate::remote::{RemoteNode, RemoteScheduler};

/// Gives the router each of the node's schedulers once its model is loaded: one that is
/// claimed, or empties for it, belongs to the router as much as one that serves. One that is lost afterwards stays with
/// the router, which sees its state. Returns when the router has stopped; never before.
pub async fn join_when_loaded(node: &RemoteNode, router: &Router) {
    let mut schedulers = node.schedulers();
    let mut known = HashSet::new();
    let mut joining = futures::stream::FuturesUnordered::new();
    loop {
        for scheduler in schedulers.borrow_and_update().iter() {
            if known.insert(scheduler.id().clone()) {
                joining.push(join(Arc::clone(scheduler), router.clone()));
            }
        }
        tokio::select! {
            changed = schedulers.changed() => if changed.is_err() { std::future::pending::<()>().await },
            Some(joined) = futures::StreamExt::next(&mut joining) => if !joined { return },
        }
    }
}

/// Whether the router is still there.
async fn join(scheduler: Arc<RemoteScheduler>, router: Router) -> bool {
    // An error means that the node is being dropped; whoever does so ends this task too.
    let loaded = |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining | SchedulerState::Claimed);
    if scheduler.snapshot().wait_for(|snapshot| loaded(snapshot.state)).await.is_err() {
        return true;
    }
    tracing::info!(scheduler = %scheduler.id(), "joined");
    router.add(scheduler).await.is_ok()
}
