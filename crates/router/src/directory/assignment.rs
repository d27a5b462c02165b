//! A request's place at the scheduler that was chosen for it.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::{ModelDescription, RequestError, RequestId};
use hostler_scheduler::{Abilities, Scheduler};

use super::health::Health;
use super::in_flight::{Held, InFlight, Placed};
use super::model_table::{Chosen, ModelTable};
use crate::decision::record::Decision;
use crate::policy::Reason;

/// The chosen scheduler, at which the request counts while this lives.
pub(crate) struct Assignment {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) health: Health,
    pub(crate) reason: Reason,
    /// What is recorded of the choice, until it is written into the receipt.
    pub(crate) decision: Option<Box<Decision>>,
    sent: Instant,
    table: Arc<ModelTable>,
    slot: usize,
    /// Present until this is dropped.
    held: Option<Held>,
    _placed: Placed,
}

impl Assignment {
    pub(crate) fn new(table: Arc<ModelTable>, chosen: Chosen, in_flight: Arc<InFlight>, id: RequestId) -> Self {
        let Chosen { scheduler, health, slot, held, decision } = chosen;
        let placed = Placed::new(in_flight, id, Arc::clone(&scheduler));
        let (reason, decision) = (decision.reason, Some(Box::new(decision)));
        Self {
            scheduler,
            health,
            reason,
            decision,
            sent: Instant::now(),
            table,
            slot,
            held: Some(held),
            _placed: placed,
        }
    }

    /// The scheduler refused or failed the request.
    pub(crate) fn failed(&self, error: &RequestError) {
        self.health.failed(error, self.scheduler.snapshot().borrow().state, self.sent);
    }

    /// What the scheduler's model can do, if another scheduler of the model has longer sequences.
    pub(crate) fn longer_elsewhere(&self) -> Option<Abilities> {
        let abilities = Abilities::of(&*self.description().ok()?);
        (self.table.sequence_tokens_max() > abilities.sequence_tokens_max()).then_some(abilities)
    }

    /// The model that the scheduler has loaded.
    ///
    /// # Errors
    /// `Unavailable` if the scheduler has just unloaded it.
    pub(crate) fn description(&self) -> Result<Arc<ModelDescription>, RequestError> {
        self.scheduler
            .snapshot()
            .borrow()
            .description
            .clone()
            .ok_or_else(|| RequestError::unavailable("the scheduler unloaded its model while it admitted the request"))
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let work = Arc::clone(held.work());
        // First, so that the table reads the count without this request.
        drop(held);
        self.table.settle(self.slot, &work, Instant::now());
    }
}
