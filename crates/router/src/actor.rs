//! The router actor: it owns the table of schedulers, and decides.

use std::sync::Arc;

use actix::{Actor, Context, Handler};
use hostler_protocol::RequestError;
use hostler_scheduler::Scheduler;
use tokio::sync::watch;

use crate::Policy;
use crate::in_flight::{InFlightGuard, InFlightWork, Whereabouts};
use crate::messages::{AddScheduler, Assignment, ChooseScheduler, RemoveScheduler};
use crate::metrics::SchedulerMetrics;
use crate::state::{View, route};

/// The schedulers that requests may be sent to, for those who only look.
pub(crate) type Directory = Arc<[Arc<dyn Scheduler>]>;

/// Most messages in the mailbox. Each stands for a caller that waits and holds
/// one of the router's permits, which are the real bound.
const MAILBOX_CAPACITY: usize = 64;

/// One scheduler, and what this router has sent to it.
struct Entry {
    scheduler: Arc<dyn Scheduler>,
    work: Arc<InFlightWork>,
    metrics: SchedulerMetrics,
}

impl Entry {
    /// What is known of it now. Its own count includes other routers' requests,
    /// but lags; ours is exact for what we sent: the larger is nearer the truth.
    fn view(&self) -> View {
        let snapshot = self.scheduler.snapshot();
        let snapshot = snapshot.borrow();
        View {
            id: snapshot.id.clone(),
            model: snapshot.model.clone(),
            state: snapshot.state,
            claim: snapshot.claim.as_ref().map(|claim| claim.token),
            work_tokens: snapshot.outstanding_tokens.max(self.work.tokens()),
            batch_size_max: snapshot.batch_size_max,
        }
    }
}

/// See the module's first line.
pub(crate) struct RouterActor {
    policy: Policy,
    table: Vec<Entry>,
    last: Option<usize>,
    whereabouts: Arc<Whereabouts>,
    directory: watch::Sender<Directory>,
}

impl RouterActor {
    pub(crate) fn new(policy: Policy, whereabouts: Arc<Whereabouts>, directory: watch::Sender<Directory>) -> Self {
        Self { policy, table: Vec::new(), last: None, whereabouts, directory }
    }

    fn publish(&self) {
        self.directory.send_replace(self.table.iter().map(|entry| Arc::clone(&entry.scheduler)).collect());
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

    fn handle(&mut self, message: ChooseScheduler, _: &mut Self::Context) -> Self::Result {
        let views: Vec<View> = self.table.iter().map(Entry::view).collect();
        let slot = route(self.policy, &views, message.wanted(), self.last)?;
        self.last = Some(slot);
        let entry = &self.table[slot];
        entry.metrics.routed.increment(1);
        let scheduler = Arc::clone(&entry.scheduler);
        let in_flight = InFlightGuard::new(
            Arc::clone(&entry.work),
            message.work_tokens,
            entry.metrics.in_flight.clone(),
            Arc::clone(&self.whereabouts),
            message.id,
            Arc::clone(&scheduler),
        );
        Ok(Assignment { scheduler, in_flight })
    }
}

impl Handler<AddScheduler> for RouterActor {
    type Result = ();

    fn handle(&mut self, AddScheduler(scheduler): AddScheduler, _: &mut Self::Context) {
        let model = scheduler.snapshot().borrow().model.clone();
        let metrics = SchedulerMetrics::new(&model, scheduler.id(), self.policy);
        self.table.retain(|entry| entry.scheduler.id() != scheduler.id());
        self.table.push(Entry { scheduler, work: Arc::default(), metrics });
        self.publish();
    }
}

impl Handler<RemoveScheduler> for RouterActor {
    type Result = bool;

    fn handle(&mut self, RemoveScheduler(id): RemoveScheduler, _: &mut Self::Context) -> bool {
        let before = self.table.len();
        self.table.retain(|entry| *entry.scheduler.id() != id);
        self.publish();
        self.table.len() < before
    }
}
