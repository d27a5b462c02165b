//! The batch: the sequences in flight and the capacity that is left.

use std::collections::BTreeMap;

use super::{Demand, Ticket};

/// The sequences in flight. A sequence that was asked to stop counts until the engine
/// reports its end.
#[derive(Debug)]
pub(super) struct Batch {
    running: BTreeMap<Ticket, Demand>,
    reserved_tokens: u64,
    slots: u32,
    kv_capacity_tokens: u64,
}

impl Batch {
    /// An empty batch of at most `slots` sequences and this many tokens.
    #[must_use]
    pub(super) fn new(slots: u32, kv_capacity_tokens: u64) -> Self {
        Self { running: BTreeMap::new(), reserved_tokens: 0, slots, kv_capacity_tokens }
    }

    /// Whether a slot and enough KV cache are free.
    #[must_use]
    pub(super) fn fits(&self, demand: &Demand) -> bool {
        self.free_slots() > 0 && self.reserved_tokens + demand.reserved_tokens() <= self.kv_capacity_tokens
    }

    /// Adds a request.
    pub(super) fn insert(&mut self, demand: Demand) {
        self.reserved_tokens += demand.reserved_tokens();
        self.running.insert(demand.ticket, demand);
    }

    /// Removes a request.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Demand> {
        let demand = self.running.remove(&ticket)?;
        self.reserved_tokens -= demand.reserved_tokens();
        Some(demand)
    }

    /// The requests in flight, ordered by ticket.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Demand> {
        self.running.values()
    }

    /// Whether the request is in flight.
    #[must_use]
    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.running.contains_key(&ticket)
    }

    /// Sequences in flight.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Maximum sequences in flight.
    #[must_use]
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// Sequences that can still be started.
    #[must_use]
    pub(super) fn free_slots(&self) -> usize {
        (self.slots as usize).saturating_sub(self.running.len())
    }

    /// Tokens reserved by the sequences in flight.
    #[must_use]
    pub(super) fn reserved_tokens(&self) -> u64 {
        self.reserved_tokens
    }

    /// Tokens that fit in the engine's KV cache.
    #[must_use]
    pub(super) fn kv_capacity_tokens(&self) -> u64 {
        self.kv_capacity_tokens
    }
}
