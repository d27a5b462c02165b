//! The router actor: it owns the table of schedulers, and decides.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler};
use hostler_protocol::RequestError;
use hostler_scheduler::Scheduler;
use tokio::sync::watch;

use crate::RouterConfig;
use crate::entry::Entry;
use crate::explain::Explanation;
use crate::in_flight::{InFlightGuard, Whereabouts};
use crate::messages::{AddScheduler, Assignment, ChooseScheduler, ExplainRoute, Question, RemoveScheduler};
use crate::metrics;
use crate::policy::{Circumstances, Policy, PrefixIndex, Reason, mix};
use crate::state::{View, newcomers_wait, route};

/// The schedulers that requests may be sent to, for those who only look.
pub(crate) type Directory = Arc<[Arc<dyn Scheduler>]>;

/// Most messages in the mailbox. Each stands for a caller that waits and holds
/// one of the router's permits, which are the real bound.
const MAILBOX_CAPACITY: usize = 64;

/// See the module's first line.
pub(crate) struct RouterActor {
    config: RouterConfig,
    table: Vec<Entry>,
    prefixes: PrefixIndex,
    last: Option<usize>,
    random: u64,
    whereabouts: Arc<Whereabouts>,
    directory: watch::Sender<Directory>,
}

impl RouterActor {
    pub(crate) fn new(
        config: RouterConfig,
        whereabouts: Arc<Whereabouts>,
        directory: watch::Sender<Directory>,
    ) -> Self {
        // The standard library's hashers have random keys.
        let random = RandomState::new().hash_one(0);
        let prefixes = PrefixIndex::default();
        Self { config, table: Vec::new(), prefixes, last: None, random, whereabouts, directory }
    }

    fn publish(&self) {
        self.directory.send_replace(self.table.iter().map(|entry| Arc::clone(&entry.scheduler)).collect());
    }

    /// The model's schedulers as they are now, and the circumstances of a decision.
    fn decide<'a, T>(
        &'a mut self,
        question: &Question,
        decision: impl FnOnce(Policy, &[View<'a>], Circumstances) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        self.random = mix(self.random);
        let given = Circumstances { last: self.last, random: self.random, session: question.session };
        let matches = self.prefixes.matches(&question.blocks);
        let (now, slow_start) = (Instant::now(), self.config.slow_start);
        let entries = self.table.iter_mut().enumerate().filter(|(_, entry)| entry.model == question.model);
        let views: Vec<View<'a>> = entries.map(|(slot, entry)| entry.view(slot, &matches, slow_start, now)).collect();
        decision(self.config.policy, &views, given)
    }

    fn unknown(&self, question: &Question) -> Option<RequestError> {
        let known = self.table.iter().any(|entry| entry.model == question.model);
        (!known).then(|| {
            let served = self.table.iter().map(|entry| entry.model.as_str());
            RequestError::unknown_model(question.model.as_str(), served)
        })
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

    fn handle(&mut self, ChooseScheduler(question): ChooseScheduler, _: &mut Self::Context) -> Self::Result {
        if let Some(unknown) = self.unknown(&question) {
            return Err(unknown);
        }
        let (slot, reason) = self.decide(&question, |policy, views, given| {
            route(policy, views, question.wanted(), given).map(|(index, reason)| (views[index].candidate.slot, reason))
        })?;
        self.last = Some(slot);
        let entry = &self.table[slot];
        self.prefixes.insert(&question.blocks, entry.key);
        entry.metrics.routed.increment(1);
        metrics::decided(&question.model, reason);
        entry.health.dispatched();
        let scheduler = Arc::clone(&entry.scheduler);
        let in_flight = InFlightGuard::new(
            Arc::clone(&entry.work),
            question.work_tokens,
            entry.metrics.in_flight.clone(),
            Arc::clone(&self.whereabouts),
            question.id,
            Arc::clone(&scheduler),
        );
        Ok(Assignment { scheduler, health: entry.health.clone(), in_flight })
    }
}

impl Handler<ExplainRoute> for RouterActor {
    type Result = Result<Explanation, RequestError>;

    fn handle(&mut self, ExplainRoute(question): ExplainRoute, _: &mut Self::Context) -> Self::Result {
        if let Some(unknown) = self.unknown(&question) {
            return Err(unknown);
        }
        let (random, wanted) = (mix(self.random), question.wanted());
        let (policy, decision, mut schedulers) = self.decide(&question, |policy, views, given| {
            let decision = route(policy, views, wanted, given)
                .map(|(index, reason): (usize, Reason)| (views[index].id.clone(), reason));
            let newcomers = newcomers_wait(views, wanted);
            let considered = views.iter().map(|view| Entry::considered(view, view.obstacle(wanted, newcomers, random)));
            Ok((policy, decision, considered.collect::<Vec<_>>()))
        })?;
        let now = Instant::now();
        for considered in &mut schedulers {
            if let Some(entry) = self.table.iter().find(|entry| *entry.scheduler.id() == considered.id) {
                considered.breaker = entry.health.state(now);
            }
        }
        let (chosen, reason, refusal) = match decision {
            Ok((id, reason)) => (Some(id), Some(reason), None),
            Err(error) => (None, None, Some(error.message)),
        };
        let prompt_blocks = question.blocks.len();
        Ok(Explanation { model: question.model, policy, chosen, reason, refusal, prompt_blocks, schedulers })
    }
}

impl Handler<AddScheduler> for RouterActor {
    type Result = ();

    fn handle(&mut self, AddScheduler(scheduler): AddScheduler, _: &mut Self::Context) {
        let entry = Entry::new(scheduler, &self.config);
        self.table.retain(|other| other.scheduler.id() != entry.scheduler.id());
        self.table.push(entry);
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
