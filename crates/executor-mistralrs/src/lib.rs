//! The mistral.rs engine, the default and the one for GPUs.
//!
//! [`MistralrsFactory`] loads a model, which mistral.rs runs on its own threads. Each
//! sequence is submitted with a logits processor, which samples the token, decodes it,
//! sends it, and ends the sequence, in the same step, by forcing an end-of-sequence token.
//! A thread of this crate submits the sequences and drains the engine's own responses,
//! which are only used to detect failures.
//!
//! On a CPU, one sequence runs at a time, because the batched decode of mistral.rs 0.8.1
//! mixes up its rows there. mistral.rs computes on rayon's thread pool, one per process:
//! the parent of a worker process sets `RAYON_NUM_THREADS` and pins the process to its
//! cores.
//!
//! This crate does not depend on actors or HTTP.

mod codec;
mod config;
mod device;
mod dispatcher;
mod engine;
mod executor;
mod factory;
mod pipeline;
mod processor;
mod requantise;
mod source;
mod weights;

pub use config::{Fault, MistralrsConfig, ModelSource};
pub use device::Device;
pub use factory::MistralrsFactory;
pub use hostler_config::{KvCacheType, MistralrsOptions, WeightFormat};
pub use requantise::{RequantiseError, requantise_gguf};
