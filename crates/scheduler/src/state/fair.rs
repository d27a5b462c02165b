//! Fairness between tenants, by work: a queue in virtual time.
//!
//! Every tenant has a counter of the work charged to it; the next to start is the
//! oldest request of the tenant with the smallest counter. This is the Virtual
//! Token Counter of Sheng et al., "Fairness in Serving Large Language Models"
//! (OSDI 2024). Deficit round robin would do as well for packets whose length is
//! known; an answer's is not, and with a counter the difference is simply given
//! back. Three departures from the paper:
//! - A request is charged its bound (`max_tokens`) when it starts, and its tenant
//!   is refunded what it did not use when it ends: tokens are no messages here.
//! - A tenant that was idle returns with a counter at most `credit` behind the
//!   others (the paper: not at all), so that the burst of one who asks little goes
//!   first, as in Linux's fair scheduler. The credit is about one batch.
//! - The counters live per class.
//!
//! Bound: while two tenants both wait, the work that they were given since they
//! both began to differs by no more than the credit, one request's `work_max`, and
//! what is refunded meanwhile: whoever is ahead is not served again before the
//! other has caught up.

use std::collections::{HashMap, VecDeque};

use hostler_protocol::TenantId;

use super::Ticket;

/// The requests of one class, by tenant.
#[derive(Debug)]
pub(super) struct FairQueue {
    tenants: HashMap<TenantId, Tenant>,
    /// Counter of whoever was served, before that: the floor while nobody waits.
    served: u64,
    credit: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    /// Work charged so far, in the units of [`super::demand::work`].
    charged: u64,
    /// Oldest first, each with its work at most.
    waiting: VecDeque<(Ticket, u64)>,
}

impl Tenant {
    fn queued(&self) -> u64 {
        self.waiting.iter().map(|&(_, work)| work).sum()
    }

    /// Takes a request out; its work.
    fn take(&mut self, ticket: Ticket) -> Option<u64> {
        let index = self.waiting.iter().position(|&(waiting, _)| waiting == ticket)?;
        self.waiting.remove(index).map(|(_, work)| work)
    }
}

impl FairQueue {
    /// Nobody waits. Who was idle may be `credit` work behind.
    pub(super) fn new(credit: u64) -> Self {
        // Counters begin where the credit can be taken off.
        Self { tenants: HashMap::new(), served: credit, credit }
    }

    /// Adds a request behind its tenant's others.
    pub(super) fn push(&mut self, tenant: &TenantId, ticket: Ticket, work: u64) {
        let least = self.least();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        if entry.waiting.is_empty() {
            entry.charged = entry.charged.max(least);
        }
        entry.waiting.push_back((ticket, work));
    }

    /// Who is next among those for whom `eligible` holds.
    pub(super) fn next(&self, eligible: &dyn Fn(Ticket) -> bool) -> Option<Ticket> {
        self.tenants
            .values()
            .filter_map(|tenant| {
                let (ticket, _) = tenant.waiting.iter().copied().find(|&(ticket, _)| eligible(ticket))?;
                Some((tenant.charged, ticket))
            })
            .min()
            .map(|(_, ticket)| ticket)
    }

    /// Removes a request that starts, and charges its tenant.
    pub(super) fn start(&mut self, tenant: &TenantId, ticket: Ticket) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            self.served = self.served.max(entry.charged);
            entry.charged += entry.take(ticket).unwrap_or(0);
        }
        self.forget_settled();
    }

    /// Removes a request that will not start.
    pub(super) fn remove(&mut self, tenant: &TenantId, ticket: Ticket) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.take(ticket);
        }
        self.forget_settled();
    }

    /// Work, at most, that starts before a request that this tenant sends now:
    /// its own, and of the others what they may have until their counters are
    /// where its own will be then.
    pub(super) fn work_ahead_of(&self, tenant: &TenantId) -> u64 {
        let present = self.tenants.get(tenant);
        let own = present.map_or(0, Tenant::queued);
        let level = present.map_or(0, |tenant| tenant.charged).max(if own == 0 { self.least() } else { 0 }) + own;
        let others = self.tenants.iter().filter(|(name, _)| *name != tenant).map(|(_, other)| other);
        own + others.map(|other| other.queued().min(level.saturating_sub(other.charged))).sum::<u64>()
    }

    /// Gives back what a request was charged and did not use.
    pub(super) fn refund(&mut self, tenant: &TenantId, work: u64) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.charged = entry.charged.saturating_sub(work);
        }
        self.forget_settled();
    }

    /// The counter with which an idle tenant returns at least.
    fn least(&self) -> u64 {
        let waiting = self.tenants.values().filter(|tenant| !tenant.waiting.is_empty());
        let floor = waiting.map(|tenant| tenant.charged).min().unwrap_or(self.served);
        floor.saturating_sub(self.credit)
    }

    /// An idle tenant whose counter is that low would begin there anyway.
    fn forget_settled(&mut self) {
        let least = self.least();
        self.tenants.retain(|_, tenant| !tenant.waiting.is_empty() || tenant.charged > least);
    }
}
