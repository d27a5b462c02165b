//! The scheduler actor: passes events to the state and performs its effects.
//!
//! An actor runs one loaded engine. When the engine fails, the supervisor replaces both
//! (see [`crate::supervisor`]).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use hostler_executor::{CancelHandle, ModelExecutor, Sequence, TokenSink};
use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::active::ActiveRequest;
use crate::messages::{
    CancelRequest, CancelSequence, ChargeTenant, ClaimScheduler, DrainScheduler, Heartbeat, ReleaseClaim, RenewClaim,
    ResumeScheduler, SequenceEnded, SubmitGeneration,
};
use crate::observer::WorkMeter;
use crate::publisher::SnapshotPublisher;
use crate::state::{Claim, Effect, SchedulingState, Ticket};

/// Runs one engine.
pub(crate) struct SchedulerActor {
    state: SchedulingState,
    executor: Arc<dyn ModelExecutor>,
    requests: HashMap<Ticket, HeldRequest>,
    meter: Arc<WorkMeter>,
    publisher: Arc<SnapshotPublisher>,
    incarnation: u64,
    timer: Option<(Instant, SpawnHandle)>,
    drain_waiters: Vec<oneshot::Sender<()>>,
}

/// A request that the scheduler has. Dropping it releases everything that it holds.
struct HeldRequest {
    place: Place,
    active: Arc<ActiveRequest>,
    _permit: OwnedSemaphorePermit,
}

/// Where a request is.
enum Place {
    Queued(Box<(Sequence, TokenSink)>),
    InEngine(CancelHandle),
}

impl SchedulerActor {
    pub(crate) fn new(
        state: SchedulingState,
        executor: Arc<dyn ModelExecutor>,
        meter: Arc<WorkMeter>,
        publisher: Arc<SnapshotPublisher>,
        incarnation: u64,
    ) -> Self {
        let (requests, timer, drain_waiters) = (HashMap::new(), None, Vec::new());
        Self { state, executor, requests, meter, publisher, incarnation, timer, drain_waiters }
    }

    /// Reports the engine's health and the work it has done to the state, and returns the
    /// current time. Every handler calls this first.
    fn observe(&mut self) -> Instant {
        let now = Instant::now();
        if !self.executor.progress().alive {
            self.state.fail();
        }
        self.state.observe(now, self.meter.total());
        now
    }

    /// Performs the effects, then sets the timer and publishes the snapshot.
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
            self.notify_drained();
        }
    }

    /// Hands a request to the engine. False if its client has left or its deadline has
    /// passed; the request has then ended.
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
        held.active.set_in_engine();
        held.place = Place::InEngine(sink.cancel_handle());
        self.requests.insert(ticket, held);
        self.executor.start(sequence, sink);
        true
    }

    fn refuse(&mut self, ticket: Ticket, error: RequestError) {
        if let Some(HeldRequest { place: Place::Queued(queued), .. }) = self.requests.remove(&ticket) {
            queued.1.fail(error);
        }
    }

    fn stop(&self, ticket: Ticket, error: RequestError) {
        if let Some(HeldRequest { place: Place::InEngine(cancel), active, .. }) = self.requests.get(&ticket) {
            match error.code {
                ErrorCode::DeadlineExceeded => cancel.time_out(),
                _ => cancel.cancel(),
            }
            active.cut_off.set(error);
        }
    }

    /// Called after the snapshot is published, so that the waiters see it empty.
    fn notify_drained(&mut self) {
        for waiter in self.drain_waiters.drain(..) {
            // The waiter may have left.
            let _ = waiter.send(());
        }
    }

    /// Sets the one timer to the state's next wake-up; an idle scheduler has none.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let due = self.state.next_wake();
        if due == self.timer.map(|(at, _)| at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = due.map(|at| {
            let timer = ctx.run_later(at.saturating_duration_since(Instant::now()), |actor, ctx| {
                actor.timer = None;
                let now = actor.observe();
                let effects = actor.state.tick(now);
                actor.perform(now, effects, ctx);
            });
            (at, timer)
        });
    }

    fn publish(&self) {
        let state = &self.state;
        let done: u64 = self.requests.values().map(|held| u64::from(held.active.generated())).sum();
        self.publisher.publish(self.incarnation, |snapshot| {
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
        let SubmitGeneration { demand, sequence, sink, active, permit, reply } = submit;
        let now = self.observe();
        let ticket = demand.ticket;
        let (answer, effects) = match self.state.submit(now, demand) {
            Ok(effects) => {
                let place = Place::Queued(Box::new((sequence, sink)));
                self.requests.insert(ticket, HeldRequest { place, active, _permit: permit });
                (Ok(()), effects)
            }
            Err(refusal) => {
                sink.fail(refusal.clone());
                (Err(refusal), Vec::new())
            }
        };
        // Before the reply, so that the snapshot shows the admitted request.
        self.perform(now, effects, ctx);
        // A caller that has left has dropped its stream too, which cancels the request.
        let _ = reply.send(answer);
    }
}

impl Handler<CancelSequence> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, cancel: CancelSequence, ctx: &mut Context<Self>) {
        let now = self.observe();
        let effects = self.state.cancel(now, cancel.ticket);
        self.perform(now, effects, ctx);
    }
}

impl Handler<CancelRequest> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, cancel: CancelRequest, ctx: &mut Context<Self>) -> bool {
        let now = self.observe();
        let tickets = self.state.tickets_of(cancel.id);
        let effects = tickets.iter().flat_map(|&ticket| self.state.cancel(now, ticket)).collect();
        self.perform(now, effects, ctx);
        !tickets.is_empty()
    }
}

impl Handler<SequenceEnded> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, ended: SequenceEnded, ctx: &mut Context<Self>) {
        let now = self.observe();
        self.requests.remove(&ended.ticket);
        let effects = self.state.ended(now, ended.ticket, ended.answer_tokens, ended.engine_failed);
        self.perform(now, effects, ctx);
    }
}

impl Handler<DrainScheduler> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, drain: DrainScheduler, ctx: &mut Context<Self>) {
        let now = self.observe();
        match self.state.drain(now) {
            Ok(effects) => {
                self.drain_waiters.push(drain.empty);
                self.perform(now, effects, ctx);
            }
            Err(error) => tracing::warn!(%error, "cannot drain"),
        }
    }
}

impl Handler<ChargeTenant> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, ChargeTenant { tenant, tokens }: ChargeTenant, _ctx: &mut Context<Self>) {
        self.state.charge(&tenant, tokens);
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
        let now = self.observe();
        let effects = self.state.claim(now, claim, drain)?;
        self.perform(now, effects, ctx);
        Ok(())
    }
}

impl Handler<RenewClaim> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, RenewClaim { token }: RenewClaim, ctx: &mut Context<Self>) -> bool {
        let now = self.observe();
        let renewed = self.state.heartbeat(now, token);
        self.perform(now, Vec::new(), ctx);
        renewed
    }
}

impl Handler<ReleaseClaim> for SchedulerActor {
    type Result = bool;

    fn handle(&mut self, ReleaseClaim { token }: ReleaseClaim, ctx: &mut Context<Self>) -> bool {
        let now = self.observe();
        let (released, effects) = self.state.release(now, token);
        self.perform(now, effects, ctx);
        released
    }
}

impl Handler<Heartbeat> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, heartbeat: Heartbeat, _ctx: &mut Context<Self>) {
        self.observe();
        self.publish();
        // The supervisor may have given up this incarnation.
        let _ = heartbeat.alive.send(());
    }
}
