//! What the engine has now, and what it still has room for.

use std::collections::BTreeMap;

use super::{Demand, Ticket};

/// The sequences in flight. A sequence that was asked to stop counts until the
/// engine has said that it ended.
#[derive(Debug)]
pub(super) struct Batch {
    running: BTreeMap<Ticket, Demand>,
    reserved_tokens: u64,
    slots: u32,
    kv_capacity_tokens: u64,
}

impl Batch {
    /// Nothing in flight, of at most `slots` sequences and so many tokens.
    #[must_use]
    pub(super) fn new(slots: u32, kv_capacity_tokens: u64) -> Self {
        Self { running: BTreeMap::new(), reserved_tokens: 0, slots, kv_capacity_tokens }
    }

    /// Whether a slot and enough of the KV cache are free.
    #[must_use]
    pub(super) fn fits(&self, demand: &Demand) -> bool {
        self.free_slots() > 0 && self.reserved_tokens + demand.reserved_tokens() <= self.kv_capacity_tokens
    }

    /// Takes a request in.
    pub(super) fn insert(&mut self, demand: Demand) {
        self.reserved_tokens += demand.reserved_tokens();
        self.running.insert(demand.ticket, demand);
    }

    /// Lets a request go.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Demand> {
        let demand = self.running.remove(&ticket)?;
        self.reserved_tokens -= demand.reserved_tokens();
        Some(demand)
    }

    /// Everything in flight, by ticket.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Demand> {
        self.running.values()
    }

    /// Whether this request is in flight.
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

    /// Most sequences in flight.
    #[must_use]
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// Sequences that may still be started.
    #[must_use]
    pub(super) fn free_slots(&self) -> usize {
        (self.slots as usize).saturating_sub(self.running.len())
    }

    /// Tokens that the sequences in flight may come to hold.
    #[must_use]
    pub(super) fn reserved_tokens(&self) -> u64 {
        self.reserved_tokens
    }

    /// Tokens that the engine can hold.
    #[must_use]
    pub(super) fn kv_capacity_tokens(&self) -> u64 {
        self.kv_capacity_tokens
    }
}
