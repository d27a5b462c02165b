//! The router actor: it owns the table of schedulers and makes the decisions. A caller
//! asks it for a scheduler by one message, and submits the request itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler, MailboxError, Message};
use hostler_config::RouterConfig;
use hostler_protocol::{ModelDescription, ModelId, RequestError, SchedulerId};
use hostler_scheduler::Scheduler;

use crate::decision::explain::{Explanation, explain};
use crate::decision::{RouteRequest, choose_scheduler};
use crate::directory::in_flight::{InFlight, InFlightGuard};
use crate::directory::{Health, Table};
use crate::metrics;
use crate::policy::{PolicyInput, PrefixIndex, mix};

/// Most messages in the mailbox. Each has a caller that waits and holds one of the
/// router's permits, which are the actual bound.
const MAILBOX_CAPACITY: usize = 64;

/// Asks for a scheduler. The request counts there until the guard is dropped.
#[derive(Message)]
#[rtype(result = "Result<Assignment, RequestError>")]
pub(crate) struct ChooseScheduler(pub(crate) RouteRequest);

/// Asks which scheduler would be chosen, and why. Nothing is counted.
#[derive(Message)]
#[rtype(result = "Result<Explanation, RequestError>")]
pub(crate) struct ExplainRoute(pub(crate) RouteRequest);

/// Adds a scheduler: requests may be sent to it from now on. One of the same name is
/// replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AddScheduler(pub(crate) Arc<dyn Scheduler>);

/// Removes a scheduler: it gets no more requests, and keeps those that it has.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct RemoveScheduler(pub(crate) SchedulerId);

/// The chosen scheduler, at which the request counts while this lives.
pub(crate) struct Assignment {
    pub(crate) scheduler: Arc<dyn Scheduler>,
    pub(crate) health: Health,
    sent: Instant,
    pub(crate) _in_flight: InFlightGuard,
}

impl Assignment {
    /// The scheduler refused or failed the request.
    pub(crate) fn failed(&self, error: &RequestError) {
        self.health.failed(error, self.scheduler.snapshot().borrow().state, self.sent);
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

/// The actor is gone: the process is exiting.
pub(crate) fn stopped(_: MailboxError) -> RequestError {
    RequestError::unavailable("the router has stopped")
}

pub(crate) struct RouterActor {
    config: Arc<RouterConfig>,
    table: Table,
    prefixes: PrefixIndex,
    /// The scheduler of each model that was chosen last, by its slot: a turn of one model must
    /// not be another's.
    last: HashMap<ModelId, usize>,
    random: u64,
    in_flight: Arc<InFlight>,
}

impl RouterActor {
    pub(crate) fn new(config: Arc<RouterConfig>, table: Table, in_flight: Arc<InFlight>) -> Self {
        // The standard library's hashers have random keys.
        let random = RandomState::new().hash_one(0);
        Self { config, table, prefixes: PrefixIndex::default(), last: HashMap::new(), random, in_flight }
    }

    fn policy_input(&mut self, request: &RouteRequest) -> PolicyInput {
        self.random = mix(self.random);
        PolicyInput { last: self.last.get(&request.model).copied(), random: self.random, session: request.session }
    }
}

/// Sets the slot of a model, which is copied only the first time. Only models that some
/// scheduler has served get here, so a client cannot make the map grow.
fn remember(last: &mut HashMap<ModelId, usize>, model: &ModelId, slot: usize) {
    match last.get_mut(model) {
        Some(last) => *last = slot,
        None => {
            last.insert(model.clone(), slot);
        }
    }
}

impl Actor for RouterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<ChooseScheduler> for RouterActor {
    type Result = Result<Assignment, RequestError>;

    fn handle(&mut self, ChooseScheduler(request): ChooseScheduler, _: &mut Self::Context) -> Self::Result {
        let input = self.policy_input(&request);
        let matches = self.prefixes.matches(&request.blocks);
        let views = self.table.views(&request.model, &matches, &self.config, Instant::now())?;
        let (index, reason) = choose_scheduler(self.config.policy, &views, &request, input)?;
        let slot = views[index].candidate.slot;
        remember(&mut self.last, &request.model, slot);
        let entry = self.table.entry(slot);
        self.prefixes.insert(&request.blocks, entry.key);
        entry.metrics.routed.increment(1);
        metrics::decided(&request.model, reason);
        entry.health.dispatched();
        let scheduler = Arc::clone(&entry.scheduler);
        let in_flight = InFlightGuard::new(
            Arc::clone(&entry.work),
            request.work_tokens,
            entry.metrics.in_flight.clone(),
            Arc::clone(&self.in_flight),
            request.id,
            Arc::clone(&scheduler),
        );
        Ok(Assignment { scheduler, health: entry.health.clone(), sent: Instant::now(), _in_flight: in_flight })
    }
}

impl Handler<ExplainRoute> for RouterActor {
    type Result = Result<Explanation, RequestError>;

    fn handle(&mut self, ExplainRoute(request): ExplainRoute, _: &mut Self::Context) -> Self::Result {
        let input = self.policy_input(&request);
        let matches = self.prefixes.matches(&request.blocks);
        let views = self.table.views(&request.model, &matches, &self.config, Instant::now())?;
        Ok(explain(self.config.policy, &views, &request, input))
    }
}

impl Handler<AddScheduler> for RouterActor {
    type Result = ();

    fn handle(&mut self, AddScheduler(scheduler): AddScheduler, _: &mut Self::Context) {
        self.table.add(scheduler, &self.config);
    }
}

impl Handler<RemoveScheduler> for RouterActor {
    type Result = bool;

    fn handle(&mut self, RemoveScheduler(id): RemoveScheduler, _: &mut Self::Context) -> bool {
        self.table.remove(&id)
    }
}
