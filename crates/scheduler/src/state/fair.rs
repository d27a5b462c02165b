//! Fairness between tenants, by work: a queue in virtual time.
//!
//! Every tenant has a counter of the work charged to it; the next to start is the
//! oldest request of the tenant with the smallest counter. A tenant that was idle
//! begins at the smallest counter of those that wait: idling earns no credit.
//! This is the Virtual Token Counter of Sheng et al., "Fairness in Serving Large
//! Language Models" (OSDI 2024). Deficit round robin would do as well for packets
//! whose length is known; an answer's is not, and with a counter the difference
//! is simply given back. Two departures from the paper: a request is charged its
//! bound (`max_tokens`) when it starts and refunded what it did not use when it
//! ends, because tokens are no messages here; and the counters live per class.
//!
//! Bound: while two tenants both wait, what they are charged never drifts apart
//! by more than one request's `work_max` plus what was refunded meanwhile, for
//! whoever is ahead is not served again before the other has caught up.

use std::collections::{HashMap, VecDeque};

use hostler_protocol::TenantId;

use super::Ticket;

/// The requests of one class, by tenant.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    tenants: HashMap<TenantId, Tenant>,
    /// Counter of the tenant that was served last: where a newcomer begins when
    /// nobody waits.
    served: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    /// Work charged so far, in the units of [`super::demand::work`].
    charged: u64,
    /// Oldest first.
    waiting: VecDeque<Ticket>,
}

impl FairQueue {
    /// Adds a request behind its tenant's others.
    pub(super) fn push(&mut self, tenant: &TenantId, ticket: Ticket) {
        let floor = self.floor();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        if entry.waiting.is_empty() {
            entry.charged = entry.charged.max(floor);
        }
        entry.waiting.push_back(ticket);
    }

    /// Who is next among those for whom `eligible` holds.
    pub(super) fn next(&self, eligible: &dyn Fn(Ticket) -> bool) -> Option<Ticket> {
        self.tenants
            .values()
            .filter_map(|tenant| {
                let ticket = tenant.waiting.iter().copied().find(|&ticket| eligible(ticket))?;
                Some((tenant.charged, ticket))
            })
            .min()
            .map(|(_, ticket)| ticket)
    }

    /// Removes a request that starts, and charges its tenant.
    pub(super) fn start(&mut self, tenant: &TenantId, ticket: Ticket, work: u64) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.waiting.retain(|&waiting| waiting != ticket);
            self.served = self.served.max(entry.charged);
            entry.charged = entry.charged.saturating_add(work);
        }
        self.forget_settled();
    }

    /// Removes a request that will not start.
    pub(super) fn remove(&mut self, tenant: &TenantId, ticket: Ticket) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.waiting.retain(|&waiting| waiting != ticket);
        }
        self.forget_settled();
    }

    /// Gives back what a request was charged and did not use.
    pub(super) fn refund(&mut self, tenant: &TenantId, work: u64) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.charged = entry.charged.saturating_sub(work);
        }
        self.forget_settled();
    }

    /// The smallest counter of a tenant that waits, or of the last one served.
    fn floor(&self) -> u64 {
        self.tenants
            .values()
            .filter(|tenant| !tenant.waiting.is_empty())
            .map(|tenant| tenant.charged)
            .min()
            .unwrap_or(self.served)
    }

    /// An idle tenant at or below the floor would begin at the floor anyway.
    fn forget_settled(&mut self) {
        let floor = self.floor();
        self.tenants.retain(|_, tenant| !tenant.waiting.is_empty() || tenant.charged > floor);
    }
}
