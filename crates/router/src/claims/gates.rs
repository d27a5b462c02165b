//! Where requests wait while claims alone keep their model from being served.

use std::collections::HashMap;
use std::sync::Arc;

use actix::ArbiterHandle;
use futures::future::select_all;
use hostler_protocol::ModelId;
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::directory::Directory;

/// One gate for each model that requests wait for: a channel whose sender is dropped when
/// the model may be served again. One task watches the schedulers for all waiting
/// requests, because a scheduler under a benchmark changes its snapshot hundreds of times
/// a second.
pub(super) struct Gates {
    directory: Directory,
    arbiter: ArbiterHandle,
    gates: Mutex<HashMap<ModelId, watch::Receiver<()>>>,
}

impl Gates {
    pub(super) fn new(directory: Directory, arbiter: ArbiterHandle) -> Self {
        Self { directory, arbiter, gates: Mutex::default() }
    }

    /// Whether no scheduler serves the model and at least one of them is claimed.
    pub(super) fn is_held(&self, model: &ModelId) -> bool {
        is_held(&self.directory.snapshots(), model)
    }

    /// Returns when the model is not held any more.
    pub(super) async fn opened(&self, model: &ModelId) {
        let mut gate = self.gate(model);
        // Nothing is ever sent: a gate opens by the end of its channel.
        let _ = gate.changed().await;
    }

    fn gate(&self, model: &ModelId) -> watch::Receiver<()> {
        let mut gates = self.gates.lock();
        gates.retain(|_, gate| gate.has_changed().is_ok());
        if let Some(gate) = gates.get(model) {
            return gate.clone();
        }
        let (open, gate) = watch::channel(());
        gates.insert(model.clone(), gate.clone());
        let (directory, model) = (self.directory.clone(), model.clone());
        self.arbiter.spawn(async move {
            until_free(&directory, &model).await;
            drop(open);
        });
        gate
    }
}

async fn until_free(directory: &Directory, model: &ModelId) {
    let mut directory = directory.subscribe();
    loop {
        let schedulers = Arc::clone(&directory.borrow_and_update());
        let mut snapshots: Vec<_> = schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
        // Marked as seen before they are examined, so that no change in between is missed.
        let now: Vec<SchedulerSnapshot> = snapshots.iter_mut().map(|one| one.borrow_and_update().clone()).collect();
        if !is_held(&now, model) {
            return;
        }
        let changes = snapshots.iter_mut().map(|snapshot| Box::pin(snapshot.changed()));
        tokio::select! {
            _ = select_all(changes) => {}
            _ = directory.changed() => {}
        }
    }
}

fn is_held(snapshots: &[SchedulerSnapshot], model: &ModelId) -> bool {
    let of_model = || snapshots.iter().filter(|snapshot| snapshot.model == *model);
    of_model().any(|snapshot| snapshot.claim.is_some())
        && !of_model().any(|snapshot| snapshot.state == SchedulerState::Serving)
}
