//! The contents of the KV cache's slots, and the choice of a slot for a new sequence. Pure.
//!
//! A slot holds the keys and values of one sequence. They are kept when the sequence has
//! ended: a new sequence with the same prefix reuses the slot, or copies it. Otherwise the
//! least recently used slot is evicted. Sequences of different scopes share nothing. The number of slots bounds what is kept.

use std::cmp::Reverse;

use hostler_protocol::{CacheScope, TokenId};

/// The slots of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    policy: ReusePolicy,
    /// Number of placements, as the clock of the LRU order.
    clock: u64,
}

/// Whether and when keys and values are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReusePolicy {
    /// Never, because the model's state cannot be truncated.
    Never,
    /// Whenever sequences share a prefix.
    SharedPrefix {
        /// A copy of another slot must save the prefill of at least this many tokens.
        copy_saves_min: usize,
    },
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The tokens whose keys and values the slot holds, from position 0.
    tokens: Vec<TokenId>,
    /// The scope of the sequence that they belong to.
    scope: CacheScope,
    busy: bool,
    last_used: u64,
}

/// The slot for a new sequence, and how to prepare it: copy `copy_from`, then truncate to
/// `keep` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The slot.
    pub(crate) slot: usize,
    /// The slot to copy from.
    pub(crate) copy_from: Option<usize>,
    /// Number of tokens of the sequence in the slot after the preparation. Fewer than it
    /// has, because its last token must be fed to get the next one.
    pub(crate) keep: usize,
}

impl Slots {
    pub(crate) fn new(count: usize, policy: ReusePolicy) -> Self {
        Self { slots: vec![Slot::default(); count], policy, clock: 0 }
    }

    /// Whether a slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| !slot.busy)
    }

    /// Places a sequence with these tokens and this scope; `None` if every slot is busy. The caller must
    /// prepare the cache as the placement specifies.
    pub(crate) fn place(&mut self, tokens: &[TokenId], scope: &CacheScope) -> Option<Placement> {
        let placement = match self.policy {
            ReusePolicy::Never => Placement { slot: self.least_recently_used(None)?, copy_from: None, keep: 0 },
            ReusePolicy::SharedPrefix { copy_saves_min } => self.best_placement(tokens, scope, copy_saves_min)?,
        };
        self.clock += 1;
        let Placement { slot, keep, .. } = placement;
        let last_used = self.clock;
        let slot = &mut self.slots[slot];
        slot.tokens.clear();
        slot.tokens.extend_from_slice(&tokens[..keep]);
        slot.scope.clone_from(scope);
        slot.busy = true;
        slot.last_used = last_used;
        Some(placement)
    }

    fn best_placement(&self, tokens: &[TokenId], scope: &CacheScope, copy_saves_min: usize) -> Option<Placement> {
        let keep_max = tokens.len().saturating_sub(1);
        let shared = |slot: usize| {
            let slot = &self.slots[slot];
            if slot.scope == *scope { shared_prefix(&slot.tokens, tokens).min(keep_max) } else { 0 }
        };
        let victim = self.least_recently_used(None)?;
        // Among equal prefixes, prefer a slot that is not busy, then the least recently used.
        let source = (0..self.slots.len()).max_by_key(|&index| {
            let slot = &self.slots[index];
            (shared(index), !slot.busy, Reverse(slot.last_used), Reverse(index))
        })?;

        // Use the source itself, unless most of its contents would be lost.
        let lost = self.slots[source].tokens.len() - shared(source);
        if !self.slots[source].busy && (source == victim || lost <= shared(source)) {
            return Some(Placement { slot: source, copy_from: None, keep: shared(source) });
        }
        if let Some(slot) = self.least_recently_used(Some(source))
            && shared(source) >= shared(slot) + copy_saves_min
        {
            return Some(Placement { slot, copy_from: Some(source), keep: shared(source) });
        }
        Some(Placement { slot: victim, copy_from: None, keep: shared(victim) })
    }

    /// The least recently used slot that is not busy and not `except`.
    fn least_recently_used(&self, except: Option<usize>) -> Option<usize> {
        (0..self.slots.len())
            .filter(|&slot| !self.slots[slot].busy && Some(slot) != except)
            .min_by_key(|&slot| self.slots[slot].last_used)
    }

    /// Records that these tokens were fed.
    pub(crate) fn fed(&mut self, slot: usize, tokens: &[TokenId]) {
        self.slots[slot].tokens.extend_from_slice(tokens);
    }

    /// Records that the cache had to clear the slot.
    pub(crate) fn cleared(&mut self, slot: usize) {
        self.slots[slot].tokens.clear();
    }

    /// Frees the slot of an ended sequence; its contents are kept for reuse.
    pub(crate) fn release(&mut self, slot: usize) {
        self.slots[slot].busy = false;
    }
}

fn shared_prefix(left: &[TokenId], right: &[TokenId]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
