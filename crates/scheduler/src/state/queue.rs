//! The queue: three classes, each fair between its tenants.
//!
//! The most urgent class goes first, but a class that waits is passed over only
//! so often: after `passed_over_max` starts of other classes it has its turn.
//! Bound: between two starts of a class that waits, other classes start at most
//! `passed_over_max + 1` requests (the one more is the other lower class, where
//! both are due at once), and where whole cohorts start, one cohort more.

use std::collections::BTreeMap;
use std::time::Instant;

use hostler_protocol::{Priority, TenantId};

use super::demand::work;
use super::fair::FairQueue;
use super::{Demand, Ticket};
use crate::config::PassedOverMax;

/// A request in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What it asks.
    pub(super) demand: Demand,
    /// Since when it waits.
    pub(super) since: Instant,
    /// When it leaves the queue at the latest.
    pub(super) until: Instant,
}

/// Everything that waits.
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
    /// Starts of other classes since this one began to wait or had its turn.
    passed_over: u32,
    passed_over_max: u32,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Requests.
    pub(super) requests: u32,
    /// Tokens of their prompts.
    pub(super) prompt_tokens: u64,
    /// Tokens of their answers, at most.
    pub(super) answer_tokens_max: u64,
}

impl Queue {
    /// An empty queue, in which a tenant that was idle has so much credit.
    #[must_use]
    pub(super) fn new(passed_over_max: PassedOverMax, credit: u64) -> Self {
        let class = |passed_over_max| Class {
            fair: FairQueue::new(credit),
            load: Load::default(),
            passed_over: 0,
            passed_over_max,
        };
        // The first class goes first whenever no other is due: it needs no bound.
        let classes = [class(u32::MAX), class(passed_over_max.default), class(passed_over_max.batch)];
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

    /// Who is next among those for whom `eligible` holds.
    pub(super) fn next(&self, eligible: impl Fn(&Waiting) -> bool) -> Option<&Waiting> {
        let eligible = |ticket| self.waiting.get(&ticket).is_some_and(&eligible);
        let heads = self.classes.iter().filter_map(|class| Some((class, class.fair.next(&eligible)?)));
        // Among those that are due the longest overdue, otherwise the first.
        let ticket = heads.min_by_key(|(class, _)| std::cmp::Reverse(class.overdue())).map(|(_, ticket)| ticket)?;
        self.waiting.get(&ticket)
    }

    /// Removes a request that starts: its tenant is charged, and the classes that
    /// still wait were passed over.
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

    /// Removes a request that will not start.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.take(ticket)?;
        let class = &mut self.classes[waiting.demand.class as usize];
        class.fair.remove(&waiting.demand.tenant, ticket);
        if class.load.requests == 0 {
            class.passed_over = 0;
        }
        Some(waiting)
    }

    /// Gives back to a tenant what its request did not use.
    pub(super) fn refund(&mut self, demand: &Demand, answer_tokens: u32) {
        let unused = demand.work_max().saturating_sub(work(demand.prompt_tokens, answer_tokens));
        self.classes[demand.class as usize].fair.refund(&demand.tenant, unused);
    }

    /// Every request, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Whether nobody waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Requests that wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Tokens of those that wait, prompts and answers at most.
    #[must_use]
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// How much waits in one class.
    #[must_use]
    pub(super) fn load(&self, class: Priority) -> Load {
        self.classes[class as usize].load
    }

    /// Work, at most, that starts before a request that this tenant sends to this
    /// class now, of what waits there.
    #[must_use]
    pub(super) fn work_ahead_of(&self, class: Priority, tenant: &TenantId) -> u64 {
        self.classes[class as usize].fair.work_ahead_of(tenant)
    }

    /// Requests and tokens of one tenant, over all classes.
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
    /// How far beyond its bound it was passed over, from 1; 0 while it is not due.
    fn overdue(&self) -> u32 {
        (self.passed_over + 1).saturating_sub(self.passed_over_max)
    }
}
