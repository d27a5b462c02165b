//! Who runs when: the scheduler's decisions, and nothing else.
//!
//! Pure: there is no clock, no randomness and no I/O in here; the time is an
//! argument, and what shall be done is returned as [`Effect`]s. So every rule can
//! be tested without a runtime, and one event after the other can be replayed.
//!
//! A request is in exactly one of three places: in the [`queue`], in the
//! [`batch`], or gone. It leaves the queue by [`Effect::Start`] or
//! [`Effect::Refuse`], and the batch when the engine says that it ended.

mod admission;
mod appointments;
mod batch;
mod claim;
mod claiming;
mod cohort;
mod demand;
mod effect;
mod fair;
mod lifecycle;
mod queue;
mod rate;
mod refill;
mod refusal;
mod restarts;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_protocol::{ModelDescription, Priority, RequestError, RequestId};

use appointments::Appointments;
use batch::Batch;
use queue::Queue;
use rate::ServiceRate;
use refill::Refill;
use refusal::{overloaded, too_late};

pub use claim::Claim;
pub use demand::{Demand, Ticket, work};
pub use effect::Effect;
pub use lifecycle::{Forbidden, Lifecycle, Transition};
pub use refusal::{EngineLimits, not_serving};
pub use restarts::Restarts;

use crate::config::{QueueConfig, SchedulerConfig};

/// How long nothing is started after the engine failed a sequence. An engine
/// that dies lets go of its sequences a moment before it is known to be dead;
/// without the pause the queue would follow them.
const SETTLE: Duration = Duration::from_millis(20);

/// Work by which a tenant that was idle goes first, for each slot: an answer of
/// 256 tokens. With less, a burst that fills the batch is served at half speed
/// beside a greedy tenant; with more, that one would wait for too long.
const CREDIT_PER_SLOT: u64 = work(0, 256);

/// Everything that a scheduler knows.
#[derive(Debug)]
pub struct State {
    lifecycle: Lifecycle,
    queue: Queue,
    batch: Batch,
    refill: Refill,
    rate: ServiceRate,
    appointments: Appointments,
    /// When a queued request leaves the queue at the latest, or a running one
    /// must have ended.
    timers: BTreeSet<(Instant, Ticket)>,
    limits: EngineLimits,
    config: QueueConfig,
    /// Nothing is started before.
    settled: Option<Instant>,
}

impl State {
    /// The state of a scheduler whose engine has just been loaded.
    #[must_use]
    pub fn new(config: &SchedulerConfig, model: &ModelDescription) -> Self {
        let slots = config.max_batch_size.min(model.driving.max_sequences).max(1);
        Self {
            lifecycle: Lifecycle::Serving,
            queue: Queue::new(config.queue.passed_over_max, u64::from(slots) * CREDIT_PER_SLOT),
            batch: Batch::new(slots, model.kv_capacity_tokens),
            refill: Refill::new(model.driving, &config.batching),
            rate: ServiceRate::default(),
            appointments: Appointments::default(),
            timers: BTreeSet::new(),
            limits: EngineLimits { context_length: model.context_length, kv_capacity_tokens: model.kv_capacity_tokens },
            config: config.queue.clone(),
            settled: None,
        }
    }

    /// Tells the state how much work the engine has done in all. Call it before
    /// every other change, so that a measurement never spans one.
    pub fn observe(&mut self, now: Instant, work_done: u64) {
        let full_load = self.batch.free_slots() == 0 || (!self.queue.is_empty() && !self.batch.is_empty());
        self.rate.observe(now, work_done, full_load);
    }

    /// The engine has ended a sequence after so many tokens of the answer.
    /// `engine_failed` says whether that was the engine's fault.
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
            self.settled = Some(now + SETTLE);
        }
        self.dispatch(now)
    }

    /// The engine is dead: nothing is started or taken any more. What it still
    /// has, and what waits, is answered by the owner, with the engine's end.
    pub fn fail(&mut self) {
        // Only a scheduler that has stopped cannot fail, and that has no state.
        let _ = self.advance(Transition::Fail);
        self.settled = None;
    }

    /// Nobody wants this request any more.
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

    /// The tickets under which a request is here: one, or none, or more where it
    /// was sent again before its first attempt was over.
    #[must_use]
    pub fn tickets_of(&self, id: RequestId) -> Vec<Ticket> {
        let queued = self.queue.iter().map(|waiting| &waiting.demand);
        queued.chain(self.batch.iter()).filter(|demand| demand.id == id).map(|demand| demand.ticket).collect()
    }

    /// Time has passed. Call it when [`next_wake`](Self::next_wake) says so.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(&(due, ticket)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, ticket));
            effects.push(self.time_up(now, ticket));
        }
        self.expire_claim(now);
        effects.extend(self.dispatch(now));
        effects
    }

    /// When [`tick`](Self::tick) is due, if nothing else happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|&(due, _)| due);
        let claim = self.lifecycle.claim().map(|claim| claim.expires);
        let start = match self.settled {
            // On a dead engine nothing is started, and of nothing neither.
            _ if self.lifecycle == Lifecycle::Failed || self.queue.is_empty() => None,
            Some(settled) => Some(settled),
            None => self.refill.wakes().filter(|_| self.batch.free_slots() > 0),
        };
        [timer, claim, start].into_iter().flatten().min()
    }

    /// What the scheduler does.
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

    /// Most sequences in flight.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.batch.slots()
    }

    /// Tokens reserved by the sequences in flight.
    #[must_use]
    pub fn reserved_tokens(&self) -> u64 {
        self.batch.reserved_tokens()
    }

    /// Tokens reserved by what runs and by what waits.
    #[must_use]
    pub fn outstanding_tokens(&self) -> u64 {
        self.batch.reserved_tokens() + self.queue.tokens()
    }

    /// Whether there is neither a queue nor anything in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.batch.is_empty()
    }

    /// Fills the free slots. Every change ends with this.
    fn dispatch(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.lifecycle != Lifecycle::Failed && self.settled.is_none_or(|settled| settled <= now) {
            self.settled = None;
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

    /// A request's time in the queue is up, or its deadline has passed.
    fn time_up(&mut self, now: Instant, ticket: Ticket) -> Effect {
        let Some(waiting) = self.queue.remove(ticket) else {
            return Effect::Stop(ticket, too_late(true));
        };
        if waiting.demand.deadline.is_some_and(|deadline| deadline <= now) {
            return Effect::Refuse(ticket, too_late(false));
        }
        let waited = now.saturating_duration_since(waiting.since);
        let why = format!("the request waited for {:.1} s without a turn", waited.as_secs_f64());
        let wait = self.estimated_wait(waiting.demand.class);
        Effect::Refuse(ticket, overloaded(&why, wait, wait.unwrap_or(self.config.wait_max)))
    }

    fn advance(&mut self, transition: Transition) -> Result<(), Forbidden> {
        self.lifecycle = self.lifecycle.after(transition)?;
        Ok(())
    }
}
