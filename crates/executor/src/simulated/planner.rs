//! What the next step does and how long it takes: pure, without a clock.
//!
//! Whoever drives it asks for a [`Step`], lets its time pass, and delivers the
//! tokens; a sequence that ended is removed before the next step is asked for.

mod equal_length;
mod ragged;

use std::time::Duration;

use hostler_protocol::{Batching, Prefill};

use super::{CostModel, SimulatedConfig};
use equal_length::EqualLength;
use ragged::Ragged;

/// Names a sequence to the planner. Later sequences have larger keys.
pub(super) type Key = u64;

/// A sequence as the planner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) key: Key,
    /// Tokens that are there when it begins: its prompt, and what it continues.
    pub(super) prompt_tokens: u32,
    /// Those of them, at the beginning, that need not be read; not all.
    pub(super) cached_tokens: u32,
    /// Most tokens that it may generate.
    pub(super) max_new_tokens: u32,
}

impl Job {
    /// What it may take of the KV cache.
    fn kv_tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.max_new_tokens)
    }
}

/// One step of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// How long it takes.
    pub(super) duration: Duration,
    /// Sequences that leave the queue as it begins.
    pub(super) begun: Vec<Key>,
    /// Sequences that have a token more when it ends.
    pub(super) produced: Vec<Key>,
}

/// Decides which sequences share a step.
pub(super) enum Planner {
    Ragged(Ragged),
    EqualLength(EqualLength),
}

/// What both ways of batching go by.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_sequences: usize,
    kv_capacity_tokens: u64,
    cost: CostModel,
}

impl Planner {
    pub(super) fn new(config: &SimulatedConfig) -> Self {
        let limits = Limits {
            max_sequences: config.max_sequences as usize,
            kv_capacity_tokens: config.kv_capacity_tokens,
            cost: config.cost,
        };
        match (config.batching, config.prefill) {
            (Batching::EqualLength, _) => Self::EqualLength(EqualLength::new(limits)),
            (Batching::Ragged, Prefill::Chunked { tokens }) => Self::Ragged(Ragged::new(limits, Some(tokens))),
            (Batching::Ragged, Prefill::Blocking) => Self::Ragged(Ragged::new(limits, None)),
        }
    }

    /// Takes a sequence into the queue.
    pub(super) fn submit(&mut self, job: Job) {
        match self {
            Self::Ragged(planner) => planner.submit(job),
            Self::EqualLength(planner) => planner.submit(job),
        }
    }

    /// Forgets a sequence, wherever it is.
    pub(super) fn remove(&mut self, key: Key) {
        match self {
            Self::Ragged(planner) => planner.remove(key),
            Self::EqualLength(planner) => planner.remove(key),
        }
    }

    /// Lets a sequence be part of no step any more, while it keeps its place.
    pub(super) fn stall(&mut self, key: Key) {
        match self {
            Self::Ragged(planner) => planner.stall(key),
            Self::EqualLength(planner) => planner.stall(key),
        }
    }

    /// The next step; `None` while there is nothing to do.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        match self {
            Self::Ragged(planner) => planner.next_step(),
            Self::EqualLength(planner) => planner.next_step(),
        }
    }
}

#[cfg(test)]
#[path = "planner/calibration_tests.rs"]
mod calibration_tests;
#[cfg(test)]
#[path = "planner/planner_tests.rs"]
mod tests;
