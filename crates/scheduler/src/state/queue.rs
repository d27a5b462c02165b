//! The queue: three classes, each fair between its tenants.
//!
//! The highest class goes first, but a lower class with queued requests is passed over at
//! most `passed_over_max` times; then it is due. Bound: between two starts of a class
//! with queued requests, other classes start at most `passed_over_max + 1` requests (one
//! more because both lower classes can be due at once), plus one cohort where whole
//! cohorts start.

use std::collections::BTreeMap;
use std::time::Instant;

use hostler_config::QueueConfig;
use hostler_protocol::{Priority, TenantId};

use super::fair::FairQueue;
use super::{Demand, Ticket, work};

/// A request in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The request.
    pub(super) demand: Demand,
    /// When it was queued.
    pub(super) since: Instant,
    /// When it must leave the queue.
    pub(super) until: Instant,
}

/// All queued requests.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: BTreeMap<Ticket, Waiting>,
    classes: [Class; Priority::ALL.len()],
    tokens: u64,
}

#[derive(Debug)]
struct Class {
    fair: FairQueue,
    load: Load,
    /// Starts of other classes since this one began to wait or was last served.
    passed_over: u32,
    passed_over_max: u32,
}

/// The size of what is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Requests.
    pub(super) requests: u32,
    /// Tokens of their prompts.
    pub(super) prompt_tokens: u64,
    /// Maximum tokens of their answers.
    pub(super) answer_tokens_max: u64,
}

impl Queue {
    /// An empty queue with this credit for tenants that return from idle.
    #[must_use]
    pub(super) fn new(config: &QueueConfig, credit: u64) -> Self {
        let class = |passed_over_max| Class {
            fair: FairQueue::new(credit),
            load: Load::default(),
            passed_over: 0,
            passed_over_max,
        };
        // The first class goes first unless another is due, so it needs no bound.
        let classes = [class(u32::MAX), class(config.default_passed_over_max), class(config.batch_passed_over_max)];
        Self { waiting: BTreeMap::new(), classes, tokens: 0 }
    }

    /// Adds a request.
    pub(super) fn push(&mut self, waiting: Waiting) {
        let demand = &waiting.demand;
        let class = &mut self.classes[demand.class as usize];
        class.fair.push(&demand.tenant, demand.ticket, demand.work_max());
        class.load.requests += 1;
        class.load.prompt_tokens += u64::from(demand.prompt_tokens);
        class.load.answer_tokens_max += u64::from(demand.answer_tokens_max);
        self.tokens += demand.reserved_tokens();
        self.waiting.insert(demand.ticket, waiting);
    }

    /// The next of the eligible requests.
    pub(super) fn next(&self, eligible: impl Fn(&Waiting) -> bool) -> Option<&Waiting> {
        let eligible = |ticket| self.waiting.get(&ticket).is_some_and(&eligible);
        let heads = self.classes.iter().filter_map(|class| Some((class, class.fair.next(&eligible)?)));
        // The most overdue class; if none is due, the highest.
        let ticket = heads.min_by_key(|(class, _)| std::cmp::Reverse(class.overdue())).map(|(_, ticket)| ticket)?;
        self.waiting.get(&ticket)
    }

    /// Removes a request that starts. Its tenant is charged, and the other classes with
    /// queued requests are passed over.
    pub(super) fn start(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.take(ticket)?;
        let demand = &waiting.demand;
        let started = demand.class as usize;
        self.classes[started].fair.start(&demand.tenant, ticket);
        for (index, class) in self.classes.iter_mut().enumerate() {
            let waits_on = index != started && class.load.requests > 0;
            class.passed_over = if waits_on { class.passed_over.saturating_add(1) } else { 0 };
        }
        Some(waiting)
    }

    /// Removes a request that does not start.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.take(ticket)?;
        let class = &mut self.classes[waiting.demand.class as usize];
        class.fair.remove(&waiting.demand.tenant, ticket);
        if class.load.requests == 0 {
            class.passed_over = 0;
        }
        Some(waiting)
    }

    /// Refunds to the tenant the work that its request did not use.
    pub(super) fn refund(&mut self, demand: &Demand, answer_tokens: u32) {
        let unused = demand.work_max().saturating_sub(work(demand.prompt_tokens, answer_tokens));
        self.classes[demand.class as usize].fair.refund(&demand.tenant, unused);
    }

    /// Charges a tenant in one class for tokens that are read without a request in the queue.
    pub(super) fn charge(&mut self, class: Priority, tenant: &TenantId, tokens: u32) {
        self.classes[class as usize].fair.charge(tenant, work(tokens, 0));
    }

    /// Every request, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Whether nothing is queued.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queued requests.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Tokens that the queued requests would reserve.
    #[must_use]
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The load of one class.
    #[must_use]
    pub(super) fn load(&self, class: Priority) -> Load {
        self.classes[class as usize].load
    }

    /// The maximum queued work of this class that starts before a request that this
    /// tenant sends to it now.
    #[must_use]
    pub(super) fn work_ahead_of(&self, class: Priority, tenant: &TenantId) -> u64 {
        self.classes[class as usize].fair.work_ahead_of(tenant)
    }

    /// Queued requests and tokens of one tenant, over all classes.
    #[must_use]
    pub(super) fn held_by(&self, tenant: &TenantId) -> (u64, u64) {
        let mine = self.waiting.values().filter(|waiting| waiting.demand.tenant == *tenant);
        mine.fold((0, 0), |(requests, tokens), waiting| (requests + 1, tokens + waiting.demand.reserved_tokens()))
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        let demand = &waiting.demand;
        let load = &mut self.classes[demand.class as usize].load;
        load.requests -= 1;
        load.prompt_tokens -= u64::from(demand.prompt_tokens);
        load.answer_tokens_max -= u64::from(demand.answer_tokens_max);
        self.tokens -= demand.reserved_tokens();
        Some(waiting)
    }
}

impl Class {
    /// By how much its limit is reached or exceeded, from 1; 0 while it is not due.
    fn overdue(&self) -> u32 {
        (self.passed_over + 1).saturating_sub(self.passed_over_max)
    }
}
