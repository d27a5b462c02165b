//! The scheduler's decisions: admission, order, batching, claims.
//!
//! Pure: no clock, no randomness, no I/O. The time is an argument, and the actions to
//! take are returned as [`Effect`]s, so every rule can be tested without a runtime and
//! any sequence of events can be replayed.
//!
//! A request is in exactly one place: in the [`queue`], in the [`batch`], or gone. It
//! leaves the queue by [`Effect::Start`] or [`Effect::Refuse`], and the batch when the
//! engine reports its end.

mod admission;
mod batch;
mod claiming;
mod cohort;
mod fair;
mod lifecycle;
mod queue;
mod rate;
mod refill;
mod refusal;
mod request;
mod reservations;
mod restarts;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_config::QueueConfig;
use hostler_protocol::{ModelDescription, Priority, RequestError, RequestId, TenantId};

use batch::Batch;
use queue::Queue;
use rate::ServiceRate;
use refill::Refill;
use refusal::{deadline_passed, overloaded};
use reservations::RetryReservations;

pub use lifecycle::{Claim, InvalidTransition, Lifecycle, Transition};
pub use refusal::{EngineLimits, not_serving};
pub use request::{Demand, Effect, Ticket, work};
pub use restarts::Restarts;

use crate::config::SchedulerConfig;

/// How long nothing is started after the engine failed a sequence. A dying engine drops
/// its sequences a moment before it reports itself dead; without the pause, queued
/// requests would be started on it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Work per slot by which a tenant that was idle is ahead of the others: an answer of
/// 256 tokens. With less, a burst that fills the batch is served at half speed alongside
/// a heavy tenant; with more, the heavy tenant waits too long.
const CREDIT_PER_SLOT: u64 = work(0, 256);

/// Everything that the scheduler's decisions depend on.
#[derive(Debug)]
pub struct SchedulingState {
    lifecycle: Lifecycle,
    queue: Queue,
    batch: Batch,
    refill: Refill,
    rate: ServiceRate,
    reservations: RetryReservations,
    /// When a queued request must leave the queue, or a running one must end.
    timers: BTreeSet<(Instant, Ticket)>,
    limits: EngineLimits,
    config: QueueConfig,
    /// Nothing is started before this instant.
    paused_until: Option<Instant>,
}

impl SchedulingState {
    /// The state of a scheduler whose engine has just been loaded.
    #[must_use]
    pub fn new(config: &SchedulerConfig, model: &ModelDescription) -> Self {
        let slots = config.max_batch_size.min(model.driving.max_sequences).max(1);
        Self {
            lifecycle: Lifecycle::Serving,
            queue: Queue::new(&config.queue, u64::from(slots) * CREDIT_PER_SLOT),
            batch: Batch::new(slots, model.kv_capacity_tokens),
            refill: Refill::new(model.driving, &config.batching),
            rate: ServiceRate::default(),
            reservations: RetryReservations::default(),
            timers: BTreeSet::new(),
            limits: EngineLimits { context_length: model.context_length, kv_capacity_tokens: model.kv_capacity_tokens },
            config: config.queue.clone(),
            paused_until: None,
        }
    }

    /// Records the total work that the engine has done. Call it before every other
    /// change, so that no measurement spans one.
    pub fn observe(&mut self, now: Instant, work_done: u64) {
        let full_load = self.batch.free_slots() == 0 || (!self.queue.is_empty() && !self.batch.is_empty());
        self.rate.observe(now, work_done, full_load);
    }

    /// Handles the end of a sequence that generated `answer_tokens`. `engine_failed` says
    /// whether it ended by a fault of the engine.
    pub fn ended(&mut self, now: Instant, ticket: Ticket, answer_tokens: u32, engine_failed: bool) -> Vec<Effect> {
        let Some(demand) = self.batch.remove(ticket) else {
            return Vec::new();
        };
        if let Some(deadline) = demand.deadline {
            self.timers.remove(&(deadline, ticket));
        }
        self.queue.refund(&demand, answer_tokens);
        self.rate.ended(answer_tokens, demand.answer_tokens_max);
        if engine_failed {
            self.paused_until = Some(now + PAUSE_AFTER_FAILURE);
        }
        self.dispatch(now)
    }

    /// Charges a tenant for a text that the engine has read for its embeddings, so that its
    /// requests of the default class start later.
    pub fn charge(&mut self, tenant: &TenantId, tokens: u32) {
        self.queue.charge(Priority::default(), tenant, tokens);
    }

    /// Handles the death of the engine: nothing is admitted or started any more. The
    /// supervisor answers the requests that are queued or running.
    pub fn fail(&mut self) {
        // Every state but `Stopped` allows it, and a stopped scheduler has no state.
        let _ = self.advance(Transition::Fail);
        self.paused_until = None;
    }

    /// Cancels a request.
    pub fn cancel(&mut self, now: Instant, ticket: Ticket) -> Vec<Effect> {
        if let Some(waiting) = self.queue.remove(ticket) {
            self.timers.remove(&(waiting.until, ticket));
            let mut effects = vec![Effect::Refuse(ticket, RequestError::cancelled())];
            effects.extend(self.dispatch(now));
            effects
        } else if self.batch.contains(ticket) {
            vec![Effect::Stop(ticket, RequestError::cancelled())]
        } else {
            Vec::new()
        }
    }

    /// The tickets of a request: several if it was sent again before its first attempt
    /// ended.
    #[must_use]
    pub fn tickets_of(&self, id: RequestId) -> Vec<Ticket> {
        let queued = self.queue.iter().map(|waiting| &waiting.demand);
        queued.chain(self.batch.iter()).filter(|demand| demand.id == id).map(|demand| demand.ticket).collect()
    }

    /// Handles the passage of time. Call it at [`next_wake`](Self::next_wake).
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(&(due, ticket)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, ticket));
            effects.push(self.time_out(now, ticket));
        }
        self.expire_claim(now);
        effects.extend(self.dispatch(now));
        effects
    }

    /// When [`tick`](Self::tick) is due, unless another event comes first.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|&(due, _)| due);
        let claim = self.lifecycle.claim().map(|claim| claim.expires);
        let start = match self.paused_until {
            _ if self.lifecycle == Lifecycle::Failed || self.queue.is_empty() => None,
            Some(paused_until) => Some(paused_until),
            None => self.refill.next_wake().filter(|_| self.batch.free_slots() > 0),
        };
        [timer, claim, start].into_iter().flatten().min()
    }

    /// The state of the scheduler's lifecycle.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Requests in the queue, by class.
    #[must_use]
    pub fn waiting(&self) -> [u32; Priority::ALL.len()] {
        Priority::ALL.map(|class| self.queue.load(class).requests)
    }

    /// Sequences in flight.
    #[must_use]
    pub fn running(&self) -> u32 {
        u32::try_from(self.batch.len()).unwrap_or(u32::MAX)
    }

    /// Maximum sequences in flight.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.batch.slots()
    }

    /// Tokens reserved by the sequences in flight.
    #[must_use]
    pub fn reserved_tokens(&self) -> u64 {
        self.batch.reserved_tokens()
    }

    /// Tokens reserved by running and queued requests.
    #[must_use]
    pub fn outstanding_tokens(&self) -> u64 {
        self.batch.reserved_tokens() + self.queue.tokens()
    }

    /// Whether nothing is queued or in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.batch.is_empty()
    }

    /// Fills the free slots. Every change ends with this.
    fn dispatch(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.lifecycle != Lifecycle::Failed && self.paused_until.is_none_or(|until| until <= now) {
            self.paused_until = None;
            loop {
                let picked = self.refill.pick(now, &self.queue, &self.batch);
                if picked.is_empty() {
                    break;
                }
                effects.extend(picked.into_iter().filter_map(|ticket| self.start(ticket)));
            }
        }
        if self.is_empty() && self.advance(Transition::Emptied).is_ok() {
            effects.push(Effect::Empty);
        }
        effects
    }

    fn start(&mut self, ticket: Ticket) -> Option<Effect> {
        let waiting = self.queue.start(ticket)?;
        self.timers.remove(&(waiting.until, ticket));
        if let Some(deadline) = waiting.demand.deadline {
            self.timers.insert((deadline, ticket));
        }
        self.batch.insert(waiting.demand);
        Some(Effect::Start(ticket))
    }

    /// Ends a request whose time in the queue is up or whose deadline has passed.
    fn time_out(&mut self, now: Instant, ticket: Ticket) -> Effect {
        let Some(waiting) = self.queue.remove(ticket) else {
            return Effect::Stop(ticket, deadline_passed(true));
        };
        if waiting.demand.deadline.is_some_and(|deadline| deadline <= now) {
            return Effect::Refuse(ticket, deadline_passed(false));
        }
        let waited = now.saturating_duration_since(waiting.since);
        let why = format!("the request was not started within {:.1} s", waited.as_secs_f64());
        let wait = self.estimated_wait(waiting.demand.class);
        Effect::Refuse(ticket, overloaded(&why, wait, wait.unwrap_or(self.config.wait_max)))
    }

    fn advance(&mut self, transition: Transition) -> Result<(), InvalidTransition> {
        self.lifecycle = self.lifecycle.after(transition)?;
        Ok(())
    }
}
