//! The planner's interface: sequences in, steps out.

use std::time::Duration;

use crate::simulated::CostModel;

/// Identifies a sequence in the planner. Later sequences have larger keys.
pub(in crate::simulated) type Key = u64;

/// A sequence as the planner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulated) struct Job {
    pub(in crate::simulated) key: Key,
    /// Tokens at its start: its prompt, and the part of the answer that it continues.
    pub(in crate::simulated) prompt_tokens: u32,
    /// How many of them need no prefill; fewer than `prompt_tokens`.
    pub(in crate::simulated) cached_tokens: u32,
    /// Maximum tokens to generate.
    pub(in crate::simulated) max_new_tokens: u32,
}

impl Job {
    /// The tokens that it reserves in the KV cache.
    pub(super) fn kv_tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.max_new_tokens)
    }
}

/// One step of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::simulated) struct Step {
    /// How long it takes.
    pub(in crate::simulated) duration: Duration,
    /// Sequences that leave the queue at its start.
    pub(in crate::simulated) begun: Vec<Key>,
    /// Sequences that have one more token at its end.
    pub(in crate::simulated) produced: Vec<Key>,
}

/// The limits and costs that all planners respect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_sequences: usize,
    pub(super) kv_capacity_tokens: u64,
    pub(super) cost: CostModel,
}

/// Decides which sequences share a step.
pub(in crate::simulated) trait Planner: Send {
    /// Adds a sequence to the queue.
    fn submit(&mut self, job: Job);

    /// Removes a sequence, waiting or running.
    fn remove(&mut self, key: Key);

    /// Excludes a sequence from all further steps, although it keeps its slot.
    fn stall(&mut self, key: Key);

    /// The next step; `None` if there is nothing to do.
    fn next_step(&mut self) -> Option<Step>;
}
