//! The scheduler actor: asks the state, and does what it says.
//!
//! It lives as long as one loaded engine. When that fails, the actor is thrown
//! away with it, and the owner (see [`crate::owner`]) builds a fresh pair.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use hostler_executor::{CancelHandle, ModelExecutor, Sequence, TokenSink};
use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::board::Board;
use crate::life::Life;
use crate::messages::{
    CancelRequest, CancelSequence, ClaimScheduler, DrainScheduler, Heartbeat, ReleaseClaim, RenewClaim,
    ResumeScheduler, SequenceEnded, SubmitGeneration,
};
use crate::observer::WorkMeter;
use crate::state::{Claim, Effect, State, Ticket};

/// Runs one engine.
pub(crate) struct SchedulerActor {
    state: State,
    executor: Arc<dyn ModelExecutor>,
    requests: HashMap<Ticket, Held>,
    meter: Arc<WorkMeter>,
    board: Arc<Board>,
    incarnation: u64,
    wake: Option<(Instant, SpawnHandle)>,
    drained: Vec<oneshot::Sender<()>>,
}

/// A request that the scheduler has. Dropping it releases all that it held.
struct Held {
    place: Place,
    life: Arc<Life>,
    _permit: OwnedSemaphorePermit,
}

/// Where it is.
enum Place {
    Queued(Box<(Sequence, TokenSink)>),
    InEngine(CancelHandle),
}

impl SchedulerActor {
    pub(crate) fn new(
        state: State,
        executor: Arc<dyn ModelExecutor>,
        meter: Arc<WorkMeter>,
        board: Arc<Board>,
        incarnation: u64,
    ) -> Self {
        let (requests, wake, drained) = (HashMap::new(), None, Vec::new());
        Self { state, executor, requests, meter, board, incarnation, wake, drained }
    }

    /// The time, for the state; which also hears how the engine is.
    fn now(&mut self) -> Instant {
        let now = Instant::now();
        if !self.executor.progress().alive {
            self.state.fail();
        }
        self.state.observe(now, self.meter.total());
        now
    }

    /// Does what the state says, then sets the timer and publishes the outcome.
    fn perform(&mut self, now: Instant, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let mut effects = VecDeque::from(effects);
        let mut empty = false;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Start(ticket) => {
                    if !self.start(ticket) {
                        effects.extend(self.state.ended(now, ticket, 0, false));
                    }
                }
                Effect::Refuse(ticket, error) => self.refuse(ticket, error),
                Effect::Stop(ticket, error) => self.stop(ticket, error),
                Effect::Empty => empty = true,
            }
        }
        self.set_timer(ctx);
        self.publish();
        if empty {
            self.tell_drained();
        }
    }

    /// Hands a request to the engine, unless nobody waits for it any more.
    fn start(&mut self, ticket: Ticket) -> bool {
        let Some(mut held) = self.requests.remove(&ticket) else {
            return false;
        };
        let Place::Queued(queued) = held.place else {
            return false;
        };
        let (sequence, sink) = *queued;
        if let Some(code) = sink.stop_requested() {
            sink.stop(code);
            return false;
        }
        held.life.hand_over();
        held.place = Place::InEngine(sink.cancel_handle());
        self.requests.insert(ticket, held);
        self.executor.start(sequence, sink);
        true
    }

    fn refuse(&mut self, ticket: Ticket, error: RequestError) {
        if let Some(Held { place: Place::Queued(queued), .. }) = self.requests.remove(&ticket) {
            queued.1.fail(error);
        }
    }

    fn stop(&self, ticket: Ticket, error: RequestError) {
        if let Some(Held { place: Place::InEngine(cancel), life, .. }) = self.requests.get(&ticket) {
            match error.code {
                ErrorCode::DeadlineExceeded => cancel.time_out(),
                _ => cancel.cancel(),
            }
            life.cut(error);
        }
    }

    /// After the snapshot was published: whoever waited finds it empty.
    fn tell_drained(&mut self) {
        for waiter in self.drained.drain(..) {
            // One that no longer waits does not mind.
            let _ = waiter.send(());
        }
    }

    /// One timer, at the next moment that matters: an idle scheduler does not tick.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.state.next_wake();
        if due == self.wake.map(|(at, _)| at) {
            return;
        }
        if let Some((_, timer)) = self.wake.take() {
            ctx.cancel_future(timer);
        }
        self.wake = due.map(|at| {
            let timer = ctx.run_later(at.saturating_duration_since(Instant::now()), |actor, ctx| {
                actor.wake = None;
                let now = actor.now();
                let effects = actor.state.tick(now);
                actor.perform(now, effects, ctx);
            });
            (at, timer)
        });
    }

    fn publish(&self) {
        let state = &self.state;
        let done: u64 = self.requests.values().map(|held| u64::from(held.life.generated())).sum();
        self.board.publish(self.incarnation, |snapshot| {
            snapshot.state = state.lifecycle().public();
            snapshot.claim = state.lifecycle().claim().map(Claim::snapshot);
            snapshot.batch_size_max = state.slots();
            snapshot.running = state.running();
            snapshot.waiting = state.waiting();
            snapshot.kv_reserved_tokens = state.reserved_tokens();
            snapshot.outstanding_tokens = state.outstanding_tokens().saturating_sub(done);
            snapshot.estimated_wait = state.estimated_wait(Default::default()).unwrap_or_default();
            snapshot.steps = self.executor.progress().steps;
        });
    }
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;
}

impl Handler<SubmitGeneration> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, submit: SubmitGeneration, ctx: &mut Context<Self>) {
        let SubmitGeneration { demand, sequence, sink, life, permit, reply } = submit;
        let now = self.now();
        let ticket = demand.ticket;
        let (answer, effects) = match self.state.submit(now, demand) {
            Ok(effects) => {
                let place = Place::Queued(Box::new((sequence, sink)));
                self.requests.insert(ticket, Held { place, life, _permit: permit });
                (Ok(()), effects)
            }
            Err(refusal) => {
                sink.fail(refusal.clone());
                (Err(refusal), Vec::new())
            }
        };
        // Before the answer: whoever is admitted finds itself in the snapshot.
        self.perform(now, effects, ctx);
        // A caller that left has dropped its stream as well, which cancels.
        let _ = reply.send(answer);
    }
}

impl Handler<CancelSequence> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, cancel: CancelSequence, ctx: &mut Context<Self>) {
        let now = self.now();
        let effects = self.state.cancel(now, cancel.ticket);
        self.perform(now, effects, ctx);
    }
}

impl Handler<CancelRequest> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, cancel: CancelRequest, ctx: &mut Context<Self>) -> bool {
        let now = self.now();
        let tickets = self.state.tickets_of(cancel.id);
        let effects = tickets.iter().flat_map(|&ticket| self.state.cancel(now, ticket)).collect();
        self.perform(now, effects, ctx);
        !tickets.is_empty()
    }
}

impl Handler<SequenceEnded> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, ended: SequenceEnded, ctx: &mut Context<Self>) {
        let now = self.now();
        self.requests.remove(&ended.ticket);
        let effects = self.state.ended(now, ended.ticket, ended.answer_tokens, ended.engine_failed);
        self.perform(now, effects, ctx);
    }
}

impl Handler<DrainScheduler> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, drain: DrainScheduler, ctx: &mut Context<Self>) {
        let now = self.now();
        match self.state.drain(now) {
            Ok(effects) => {
                self.drained.push(drain.empty);
                self.perform(now, effects, ctx);
            }
            Err(error) => tracing::warn!(%error, "cannot drain"),
        }
    }
}

impl Handler<ResumeScheduler> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, _: ResumeScheduler, _ctx: &mut Context<Self>) {
        if let Err(error) = self.state.resume() {
            tracing::warn!(%error, "cannot resume");
        }
        self.publish();
    }
}

impl Handler<ClaimScheduler> for SchedulerActor {
    type Result = Result<(), RequestError>;

    fn handle(&mut self, ClaimScheduler { claim, drain }: ClaimScheduler, ctx: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        let effects = self.state.claim(now, claim, drain)?;
        self.perform(now, effects, ctx);
        Ok(())
    }
}

impl Handler<RenewClaim> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, RenewClaim { token }: RenewClaim, ctx: &mut Context<Self>) -> bool {
        let now = self.now();
        let renewed = self.state.heartbeat(now, token);
        self.perform(now, Vec::new(), ctx);
        renewed
    }
}

impl Handler<ReleaseClaim> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, ReleaseClaim { token }: ReleaseClaim, ctx: &mut Context<Self>) -> bool {
        let now = self.now();
        let (released, effects) = self.state.release(now, token);
        self.perform(now, effects, ctx);
        released
    }
}

impl Handler<Heartbeat> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, heartbeat: Heartbeat, _ctx: &mut Context<Self>) {
        self.now();
        self.publish();
        // The owner may have moved on.
        let _ = heartbeat.alive.send(());
    }
}
