//! The router actor: it owns joins and leaves. Requests do not pass through it: they decide in
//! their own tasks, over the tables that it fills.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, MailboxError, Message};
use hostler_protocol::{RequestError, SchedulerId};
use hostler_scheduler::Scheduler;

use crate::directory::Roster;

/// Most messages in the mailbox. Joins and leaves wait for their answers; a request that asks to
/// follow models holds one of the router's permits, which are the actual bound.
const MAILBOX_CAPACITY: usize = 64;

/// How often schedulers are looked at that may have another model, while no request meets one: a
/// worker that returns with another model takes seconds to load it.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Moves the schedulers that have another model now to its table.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FollowModels;

/// Adds a scheduler: requests may be sent to it from now on. One of the same name is
/// replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AddScheduler(pub(crate) Arc<dyn Scheduler>);

/// Removes a scheduler: it gets no more requests, and keeps those that it has.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct RemoveScheduler(pub(crate) SchedulerId);

/// The actor is gone: the process is exiting.
pub(crate) fn stopped(_: MailboxError) -> RequestError {
    RequestError::unavailable("the router has stopped")
}

pub(crate) struct RouterActor(pub(crate) Roster);

impl Actor for RouterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
        context.run_interval(FOLLOW_EVERY, |actor, _| actor.0.follow_models(Instant::now()));
    }
}

impl Handler<FollowModels> for RouterActor {
    type Result = ();

    fn handle(&mut self, FollowModels: FollowModels, _: &mut Self::Context) {
        self.0.follow_models(Instant::now());
    }
}

impl Handler<AddScheduler> for RouterActor {
    type Result = ();

    fn handle(&mut self, AddScheduler(scheduler): AddScheduler, _: &mut Self::Context) {
        self.0.add(scheduler, Instant::now());
    }
}

impl Handler<RemoveScheduler> for RouterActor {
    type Result = bool;

    fn handle(&mut self, RemoveScheduler(id): RemoveScheduler, _: &mut Self::Context) -> bool {
        self.0.remove(&id)
    }
}
