//! The schedulers that requests may be sent to: as a watch, and as a table for each model, in
//! which requests find one. A [`Roster`] fills both.

mod assignment;
mod entry;
mod health;
pub(crate) mod in_flight;
mod model_table;
mod roster;

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_protocol::{ModelDescription, ModelId, RequestError, SchedulerId};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState};
use tokio::sync::watch;

pub(crate) use assignment::Assignment;
pub(crate) use model_table::{Chosen, ModelTable};
pub(crate) use roster::{Roster, Tables};

/// Every scheduler that requests may be sent to.
pub(crate) type Schedulers = Arc<[Arc<dyn Scheduler>]>;

/// A model that at least one scheduler serves or is loading.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedModel {
    /// The name that clients use.
    pub model: ModelId,
    /// The loaded model; `None` while all of its schedulers are loading it.
    pub description: Option<Arc<ModelDescription>>,
    /// Whether a scheduler takes requests for it now.
    pub ready: bool,
}

/// A read-only handle on the schedulers. Clones show the same ones.
#[derive(Clone)]
pub(crate) struct Directory(watch::Receiver<Schedulers>);

impl Directory {
    /// An empty directory, and where its schedulers are published.
    pub(crate) fn new() -> (Self, watch::Sender<Schedulers>) {
        let (published, schedulers) = watch::channel(Schedulers::from([]));
        (Self(schedulers), published)
    }

    pub(crate) fn schedulers(&self) -> Schedulers {
        Arc::clone(&self.0.borrow())
    }

    /// A watch on the schedulers themselves, not on their snapshots.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Schedulers> {
        self.0.clone()
    }

    pub(crate) fn snapshots(&self) -> Vec<SchedulerSnapshot> {
        self.schedulers().iter().map(|scheduler| scheduler.snapshot().borrow().clone()).collect()
    }

    /// All models, by name.
    pub(crate) fn models(&self) -> Vec<ServedModel> {
        let mut models: BTreeMap<ModelId, ServedModel> = BTreeMap::new();
        for snapshot in self.snapshots() {
            let served = models.entry(snapshot.model.clone()).or_insert_with(|| ServedModel {
                model: snapshot.model.clone(),
                description: None,
                ready: false,
            });
            served.ready |= snapshot.state == SchedulerState::Serving;
            served.description = served.description.take().or(snapshot.description);
        }
        models.into_values().collect()
    }

    /// Whether a scheduler of the model is serving.
    pub(crate) fn serves(&self, model: &ModelId) -> bool {
        self.any(|snapshot| snapshot.model == *model && snapshot.state == SchedulerState::Serving)
    }

    /// Whether the model has a scheduler other than `excluded`, in whichever state.
    pub(crate) fn has_another(&self, model: &ModelId, excluded: &SchedulerId) -> bool {
        self.any(|snapshot| snapshot.model == *model && snapshot.id != *excluded)
    }

    fn any(&self, matches: impl Fn(&SchedulerSnapshot) -> bool) -> bool {
        self.schedulers().iter().any(|scheduler| matches(&scheduler.snapshot().borrow()))
    }

    /// A scheduler that has the model loaded now. One that failed or was lost shows the model
    /// that it had, but cannot answer.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` while it is loading.
    pub(crate) fn holder(&self, model: &ModelId) -> Result<Arc<dyn Scheduler>, RequestError> {
        let schedulers = self.schedulers();
        let mut known = false;
        for scheduler in schedulers.iter() {
            let snapshot = scheduler.snapshot();
            let snapshot = snapshot.borrow();
            known |= snapshot.model == *model;
            let answers =
                matches!(snapshot.state, SchedulerState::Serving | SchedulerState::Draining | SchedulerState::Claimed);
            if snapshot.model == *model && answers && snapshot.description.is_some() {
                return Ok(Arc::clone(scheduler));
            }
        }
        Err(if known {
            RequestError::unavailable(format!("model {:?} is not loaded yet", model.as_str()))
        } else {
            RequestError::unknown_model(model.as_str(), self.models().iter().map(|served| served.model.as_str()))
        })
    }
}
