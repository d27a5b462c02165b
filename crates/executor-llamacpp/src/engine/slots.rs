//! Which slot of the KV cache holds what, and which one a new sequence gets: pure.
//!
//! A slot is one sequence's place in the cache. When its sequence has ended, what
//! it holds is kept, and a new sequence that begins in the same way takes it over,
//! or has it copied. The least recently used slot gives way. What is kept is
//! bounded by the slots themselves.

use std::cmp::Reverse;

use hostler_protocol::TokenId;

/// The slots of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    policy: ReusePolicy,
    /// Counts placements: the clock by which slots are least recently used.
    clock: u64,
}

/// Whether and when keys and values are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReusePolicy {
    /// Never: the model cannot take back part of what it has read.
    Never,
    /// Wherever a beginning is shared.
    SharedPrefix {
        /// A copy from another slot must save reading so many tokens.
        copy_saves_min: usize,
    },
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The tokens whose keys and values the cache holds here, from position 0.
    tokens: Vec<TokenId>,
    busy: bool,
    last_used: u64,
}

/// Where a new sequence goes, and what must be done to the cache first: copy, then
/// cut the slot down to `keep` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Its slot.
    pub(crate) slot: usize,
    /// The slot whose contents are copied there first.
    pub(crate) copy_from: Option<usize>,
    /// How many tokens of the sequence are there then. Fewer than it has: at least
    /// its last one must be fed to get the next.
    pub(crate) keep: usize,
}

impl Slots {
    pub(crate) fn new(count: usize, policy: ReusePolicy) -> Self {
        Self { slots: vec![Slot::default(); count], policy, clock: 0 }
    }

    /// Whether a sequence can be placed.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| !slot.busy)
    }

    /// Places a sequence that consists of `tokens` so far; `None` when every slot
    /// is busy. The caller does to the cache what the placement says.
    pub(crate) fn place(&mut self, tokens: &[TokenId]) -> Option<Placement> {
        let placement = match self.policy {
            ReusePolicy::Never => Placement { slot: self.least_recently_used(None)?, copy_from: None, keep: 0 },
            ReusePolicy::SharedPrefix { copy_saves_min } => self.best_placement(tokens, copy_saves_min)?,
        };
        self.clock += 1;
        let Placement { slot, keep, .. } = placement;
        let last_used = self.clock;
        let slot = &mut self.slots[slot];
        slot.tokens.clear();
        slot.tokens.extend_from_slice(&tokens[..keep]);
        slot.busy = true;
        slot.last_used = last_used;
        Some(placement)
    }

    fn best_placement(&self, tokens: &[TokenId], copy_saves_min: usize) -> Option<Placement> {
        let most = tokens.len().saturating_sub(1);
        let shared = |slot: usize| shared_prefix(&self.slots[slot].tokens, tokens).min(most);
        let victim = self.least_recently_used(None)?;
        // Of equals, one that need not be copied, and the least recently used of those.
        let source = (0..self.slots.len()).max_by_key(|&index| {
            let slot = &self.slots[index];
            (shared(index), !slot.busy, Reverse(slot.last_used), Reverse(index))
        })?;

        // The source itself, unless most of what it keeps would be lost by that.
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

    /// The idle slot whose use lies furthest back, `except` left out.
    fn least_recently_used(&self, except: Option<usize>) -> Option<usize> {
        (0..self.slots.len())
            .filter(|&slot| !self.slots[slot].busy && Some(slot) != except)
            .min_by_key(|&slot| self.slots[slot].last_used)
    }

    /// These tokens of its sequence were fed.
    pub(crate) fn fed(&mut self, slot: usize, tokens: &[TokenId]) {
        self.slots[slot].tokens.extend_from_slice(tokens);
    }

    /// The cache could not keep what `place` wanted to keep there: it holds nothing.
    pub(crate) fn emptied(&mut self, slot: usize) {
        self.slots[slot].tokens.clear();
    }

    /// Its sequence has ended. What it holds is kept for others.
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
