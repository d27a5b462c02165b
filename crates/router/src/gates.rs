//! Where requests wait until their model is served again.

use std::collections::HashMap;
use std::sync::Arc;

use actix::ArbiterHandle;
use futures::future::select_all;
use hostler_protocol::ModelId;
use hostler_scheduler::SchedulerSnapshot;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::directory::Directory;

/// Whether the schedulers, as they are now, keep requests for the model at the gate.
pub(crate) type IsClosed = fn(&[SchedulerSnapshot], &ModelId) -> bool;

/// One gate for each model that requests wait for: a channel whose sender is dropped when
/// the model may be served again. One task watches the schedulers for all waiting
/// requests, because a scheduler under a benchmark changes its snapshot hundreds of times
/// a second.
pub(crate) struct Gates {
    directory: Directory,
    arbiter: ArbiterHandle,
    is_closed: IsClosed,
    gates: Mutex<HashMap<ModelId, watch::Receiver<()>>>,
}

impl Gates {
    pub(crate) fn new(directory: Directory, arbiter: ArbiterHandle, is_closed: IsClosed) -> Self {
        Self { directory, arbiter, is_closed, gates: Mutex::default() }
    }

    pub(crate) fn is_closed(&self, model: &ModelId) -> bool {
        (self.is_closed)(&self.directory.snapshots(), model)
    }

    /// Returns when the gate is open.
    pub(crate) async fn opened(&self, model: &ModelId) {
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
        let (directory, model, is_closed) = (self.directory.clone(), model.clone(), self.is_closed);
        self.arbiter.spawn(async move {
            until_open(&directory, &model, is_closed).await;
            drop(open);
        });
        gate
    }
}

async fn until_open(directory: &Directory, model: &ModelId, is_closed: IsClosed) {
    let mut directory = directory.subscribe();
    loop {
        let schedulers = Arc::clone(&directory.borrow_and_update());
        let mut snapshots: Vec<_> = schedulers.iter().map(|scheduler| scheduler.snapshot()).collect();
        // Marked as seen before they are examined, so that no change in between is missed.
        let now: Vec<SchedulerSnapshot> = snapshots.iter_mut().map(|one| one.borrow_and_update().clone()).collect();
        if !is_closed(&now, model) {
            return;
        }
        let changes = snapshots.iter_mut().map(|snapshot| Box::pin(snapshot.changed()));
        tokio::select! {
            _ = select_all(changes) => {}
            _ = directory.changed() => {}
        }
    }
}
