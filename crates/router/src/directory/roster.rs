//! Who is where: the router actor owns the [`Roster`], which puts each scheduler into the table of
//! its model. Requests look the tables up in [`Tables`].

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use hostler_config::RouterConfig;
use hostler_protocol::{ModelId, RequestError, SchedulerId};
use hostler_scheduler::Scheduler;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::Schedulers;
use super::model_table::ModelTable;

/// The table of each model. A read takes tens of nanoseconds, and only joins and leaves write.
#[derive(Default)]
pub(crate) struct Tables(RwLock<HashMap<ModelId, Arc<ModelTable>>>);

impl Tables {
    /// The table of a model.
    pub(crate) fn get(&self, model: &ModelId) -> Option<Arc<ModelTable>> {
        self.0.read().get(model).cloned()
    }

    /// The error for a model that has no table.
    pub(crate) fn unknown(&self, model: &ModelId) -> RequestError {
        RequestError::unknown_model(model.as_str(), self.0.read().keys().map(ModelId::as_str))
    }
}

/// All schedulers, in the order in which they were added.
pub(crate) struct Roster {
    config: Arc<RouterConfig>,
    members: Vec<Member>,
    tables: Arc<Tables>,
    published: watch::Sender<Schedulers>,
}

struct Member {
    scheduler: Arc<dyn Scheduler>,
    table: Arc<ModelTable>,
    slot: usize,
}

impl Roster {
    pub(crate) fn new(config: Arc<RouterConfig>, tables: Arc<Tables>, published: watch::Sender<Schedulers>) -> Self {
        Self { config, members: Vec::new(), tables, published }
    }

    /// Adds a scheduler. One of the same name is replaced.
    pub(crate) fn add(&mut self, scheduler: Arc<dyn Scheduler>, now: Instant) {
        let member = self.place(scheduler, now);
        let replaced = self.members.iter().position(|other| other.scheduler.id() == member.scheduler.id());
        if let Some(index) = replaced {
            self.leave(index);
        }
        self.members.push(member);
        self.publish();
    }

    /// Removes a scheduler. Whether there was one.
    pub(crate) fn remove(&mut self, id: &SchedulerId) -> bool {
        let Some(index) = self.members.iter().position(|member| member.scheduler.id() == id) else { return false };
        self.leave(index);
        self.publish();
        true
    }

    /// A worker may come back with another model under the same name. That is another
    /// scheduler: nothing that is known of the one before holds for it.
    pub(crate) fn follow_models(&mut self, now: Instant) {
        let mut tables: Vec<Arc<ModelTable>> = self.tables.0.read().values().cloned().collect();
        for table in tables.drain(..) {
            for slot in table.remove_moved(now) {
                let is_moved = |member: &Member| Arc::ptr_eq(&member.table, &table) && member.slot == slot;
                let Some(index) = self.members.iter().position(is_moved) else { continue };
                let scheduler = Arc::clone(&self.members[index].scheduler);
                self.members[index] = self.place(scheduler, now);
            }
            self.forget_if_empty(&table);
        }
    }

    fn place(&self, scheduler: Arc<dyn Scheduler>, now: Instant) -> Member {
        let model = scheduler.snapshot().borrow().model.clone();
        let table = {
            let mut tables = self.tables.0.write();
            let new = || {
                // The standard library's hashers have random keys.
                let random = RandomState::new().hash_one(0);
                Arc::new(ModelTable::new(model.clone(), Arc::clone(&self.config), random, now))
            };
            Arc::clone(tables.entry(model.clone()).or_insert_with(new))
        };
        let slot = table.add(Arc::clone(&scheduler), now);
        Member { scheduler, table, slot }
    }

    fn leave(&mut self, index: usize) {
        let Member { table, slot, .. } = self.members.remove(index);
        table.remove(slot);
        self.forget_if_empty(&table);
    }

    fn forget_if_empty(&self, table: &Arc<ModelTable>) {
        if !self.members.iter().any(|member| Arc::ptr_eq(&member.table, table)) {
            self.tables.0.write().remove(table.model());
        }
    }

    fn publish(&self) {
        self.published.send_replace(self.members.iter().map(|member| Arc::clone(&member.scheduler)).collect());
    }
}
