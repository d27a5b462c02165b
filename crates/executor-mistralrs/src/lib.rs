//! The mistral.rs engine: the default, made for GPUs.
//!
//! A model is loaded by [`MistralrsFactory`]; mistral.rs runs it on threads of its
//! own. Each sequence goes to it with a logits processor that does everything to a
//! token but computing it: chooses it, turns it into text, sends it, and ends the
//! sequence, in the step in which it ends, by making the engine sample an
//! end-of-sequence token. A thread of this crate submits sequences and drains the
//! engine's own responses, from which nothing but failures is learnt.
//!
//! On a CPU one sequence runs at a time: mistral.rs 0.8.1's batched decode there
//! mixes up its rows. Threads of the CPU are rayon's, one pool for the process:
//! whoever starts the process sets `RAYON_NUM_THREADS` and pins it to its cores.
//!
//! This crate knows nothing of actors or HTTP.

mod codec;
mod config;
mod device;
mod dispatcher;
mod engine;
mod executor;
mod factory;
mod life;
mod memory;
mod pipeline;
mod processor;
mod requantise;
mod source;
mod weights;

pub use config::{Fault, MistralrsConfig, ModelSource, WeightFormat};
pub use device::Device;
pub use factory::MistralrsFactory;
pub use requantise::{RequantiseError, requantise_gguf};
