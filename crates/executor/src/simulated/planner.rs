//! Decides what the next step does and how long it takes, without a clock.
//!
//! The driver asks for a [`Step`], waits for its duration, and delivers its tokens; it
//! removes ended sequences before it asks for the next step.

mod equal_length;
mod ragged;
mod step;

use hostler_protocol::{Batching, Prefill};

use super::SimulatedConfig;
use equal_length::EqualLength;
use ragged::Ragged;
use step::Limits;
pub(super) use step::{Job, Key, Planner, Step};

/// The planner for the configured way of batching.
pub(super) fn planner(config: &SimulatedConfig) -> Box<dyn Planner> {
    let limits = Limits {
        max_sequences: config.max_sequences as usize,
        kv_capacity_tokens: config.kv_capacity_tokens,
        cost: config.cost,
    };
    match (config.batching, config.prefill) {
        (Batching::EqualLength, _) => Box::new(EqualLength::new(limits)),
        (Batching::Ragged, Prefill::Chunked { tokens }) => Box::new(Ragged::new(limits, Some(tokens))),
        (Batching::Ragged, Prefill::Blocking) => Box::new(Ragged::new(limits, None)),
    }
}

#[cfg(test)]
#[path = "planner/calibration_tests.rs"]
mod calibration_tests;
#[cfg(test)]
#[path = "planner/planner_tests.rs"]
mod tests;
