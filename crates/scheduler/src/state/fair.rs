//! Fairness between tenants, by work: a queue in virtual time.
//!
//! Each tenant has a counter of the work charged to it; the next request to start is the
//! oldest one of the tenant with the smallest counter. This is the Virtual Token Counter
//! of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024). Deficit
//! round robin needs the length of a request in advance; with a counter, the difference
//! between the reserved and the actual length is refunded. Three differences from the
//! paper:
//! - A request is charged its maximum (`max_tokens`) when it starts, and its tenant is
//!   refunded the unused part when it ends, because the state does not see each token.
//! - A tenant that was idle returns with a counter at most `credit` behind the others
//!   (the paper: not at all), so that the burst of a light tenant goes first, as in
//!   Linux's fair scheduler. The credit is about one batch.
//! - There is a counter for each class.
//!
//! Bound: while two tenants both have requests queued, the work that each received since
//! then differs by at most the credit, one request's `work_max`, and the refunds during
//! that time: the tenant that is ahead is not served again before the other has caught up.

use std::collections::{HashMap, VecDeque};

use hostler_protocol::TenantId;

use super::Ticket;

/// The requests of one class, by tenant.
#[derive(Debug)]
pub(super) struct FairQueue {
    tenants: HashMap<TenantId, Tenant>,
    /// The counter of the tenant served last, before it was charged: the floor while
    /// nothing is queued.
    served: u64,
    credit: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    /// Work charged so far, in the units of [`super::demand::work`].
    charged: u64,
    /// Oldest first, each with its maximum work.
    waiting: VecDeque<(Ticket, u64)>,
}

impl Tenant {
    fn queued(&self) -> u64 {
        self.waiting.iter().map(|&(_, work)| work).sum()
    }

    /// Removes a request and returns its work.
    fn take(&mut self, ticket: Ticket) -> Option<u64> {
        let index = self.waiting.iter().position(|&(waiting, _)| waiting == ticket)?;
        self.waiting.remove(index).map(|(_, work)| work)
    }
}

impl FairQueue {
    /// An empty queue, in which a returning tenant can be `credit` work behind.
    pub(super) fn new(credit: u64) -> Self {
        // The floor starts high enough that the credit can be subtracted.
        Self { tenants: HashMap::new(), served: credit, credit }
    }

    /// Adds a request behind the others of its tenant.
    pub(super) fn push(&mut self, tenant: &TenantId, ticket: Ticket, work: u64) {
        let least = self.counter_min();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        if entry.waiting.is_empty() {
            entry.charged = entry.charged.max(least);
        }
        entry.waiting.push_back((ticket, work));
    }

    /// The next of the eligible requests.
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

    /// Removes a request that starts and charges its tenant.
    pub(super) fn start(&mut self, tenant: &TenantId, ticket: Ticket) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            self.served = self.served.max(entry.charged);
            entry.charged += entry.take(ticket).unwrap_or(0);
        }
        self.drop_idle();
    }

    /// Removes a request that does not start.
    pub(super) fn remove(&mut self, tenant: &TenantId, ticket: Ticket) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.take(ticket);
        }
        self.drop_idle();
    }

    /// The maximum work that starts before a request that this tenant sends now: its own,
    /// and that of the others until their counters reach the value that its own will have
    /// then.
    pub(super) fn work_ahead_of(&self, tenant: &TenantId) -> u64 {
        let present = self.tenants.get(tenant);
        let own = present.map_or(0, Tenant::queued);
        let level = present.map_or(0, |tenant| tenant.charged).max(if own == 0 { self.counter_min() } else { 0 }) + own;
        let others = self.tenants.iter().filter(|(name, _)| *name != tenant).map(|(_, other)| other);
        own + others.map(|other| other.queued().min(level.saturating_sub(other.charged))).sum::<u64>()
    }

    /// Charges a tenant for work that is done without its turn in this queue.
    pub(super) fn charge(&mut self, tenant: &TenantId, work: u64) {
        let least = self.counter_min();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        if entry.waiting.is_empty() {
            entry.charged = entry.charged.max(least);
        }
        entry.charged += work;
        self.drop_idle();
    }

    /// Refunds work that a request was charged and did not use.
    pub(super) fn refund(&mut self, tenant: &TenantId, work: u64) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.charged = entry.charged.saturating_sub(work);
        }
        self.drop_idle();
    }

    /// The minimum counter of a tenant that returns from idle.
    fn counter_min(&self) -> u64 {
        let waiting = self.tenants.values().filter(|tenant| !tenant.waiting.is_empty());
        let floor = waiting.map(|tenant| tenant.charged).min().unwrap_or(self.served);
        floor.saturating_sub(self.credit)
    }

    /// Drops idle tenants whose counter is at most the minimum: they would return with
    /// the minimum anyway.
    fn drop_idle(&mut self) {
        let least = self.counter_min();
        self.tenants.retain(|_, tenant| !tenant.waiting.is_empty() || tenant.charged > least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_was_charged_waits_until_the_others_have_caught_up() {
        let (a, b) = (TenantId::from("a"), TenantId::from("b"));
        let mut queue = FairQueue::new(0);
        queue.charge(&a, 25);
        for (ticket, tenant) in [(2, &b), (3, &b), (4, &b), (1, &a)] {
            queue.push(tenant, Ticket(ticket), 10);
        }
        let mut order = Vec::new();
        while let Some(ticket) = queue.next(&|_| true) {
            let tenant = if ticket == Ticket(1) { &a } else { &b };
            queue.start(tenant, ticket);
            order.push(ticket);
        }
        assert_eq!(order, [2, 3, 4, 1].map(Ticket));
    }
}
