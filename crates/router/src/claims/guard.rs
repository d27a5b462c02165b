//! A claim guarantees `min_serving` for as long as it is held: when other schedulers of its
//! model fail and fewer would serve, it yields.

use std::sync::Arc;
use std::time::Duration;

use hostler_protocol::ModelId;
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};

use super::open::{OpenClaim, OpenClaims};
use crate::directory::Directory;

/// How often the schedulers are examined. Requests wait for a claim that has to yield, so it
/// is short for a client; and an examination is short for a benchmark, while the schedulers
/// change their snapshots hundreds of times a second.
const EXAMINE_EVERY: Duration = Duration::from_millis(100);

/// Ends the claim when its model needs the scheduler, and returns then.
pub(super) async fn yield_when_needed(
    open: Arc<OpenClaims>,
    directory: Directory,
    scheduler: Arc<dyn Scheduler>,
    claim: Arc<OpenClaim>,
) {
    let mut ticks = tokio::time::interval(EXAMINE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let serving = count_serving(&directory.snapshots(), &claim.record.model);
        if serving >= claim.min_serving as usize || !open.is_first_to_yield(&claim) {
            continue;
        }
        let (id, model) = (scheduler.id(), claim.record.model.as_str());
        match claim.give_way(&*scheduler).await {
            Ok(()) => {
                tracing::warn!(scheduler = %id, model, owner = claim.record.owner, serving, "a claim yields");
                return;
            }
            Err(error) => tracing::warn!(scheduler = %id, model, %error, "cannot end a claim that has to yield"),
        }
    }
}

/// The schedulers that serve the model. A claimed one is not among them.
fn count_serving(snapshots: &[SchedulerSnapshot], model: &ModelId) -> usize {
    let serves = |snapshot: &&SchedulerSnapshot| snapshot.model == *model && snapshot.state == SchedulerState::Serving;
    snapshots.iter().filter(serves).count()
}
