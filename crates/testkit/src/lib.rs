//! Fakes and helpers that the tests of several crates share.

mod engine;
mod scheduler;
mod wait;

use hostler_protocol::{Batching, Capabilities, Dialect, Driving, Engine, ModelDescription, Prefill};

pub use engine::{EngineControls, FakeFactory};
pub use scheduler::{FakeBehaviour, FakeScheduler};
pub use wait::{eventually, is_idle, read, serving, until};

/// A model with a context of 2,048 tokens, on an engine that runs eight sequences of any
/// length together. Tests change what matters to them.
#[must_use]
pub fn model_description(model: &str) -> ModelDescription {
    ModelDescription {
        model: model.into(),
        engine: Engine::Simulated,
        device: "cpu".to_owned(),
        weight_format: "none".to_owned(),
        weight_bytes: 0,
        context_length: 2048,
        kv_capacity_tokens: 8 * 2048,
        vocabulary_size: 256,
        driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Blocking },
        capabilities: Capabilities::default(),
        dialect: Dialect::default(),
    }
}
