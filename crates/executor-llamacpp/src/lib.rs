//! The llama.cpp engine: the fast one on CPUs.
//!
//! One thread a model owns llama.cpp's context and runs all its sequences in one
//! batch: ragged, with prompts read in bounded chunks beside the sequences that
//! decode, and with keys and values of ended sequences kept for those that begin
//! alike. Everything else (tokenizer, chat template, checks, constraints) runs on
//! the caller's thread.
//!
//! This crate knows nothing of actors or HTTP. What it cannot guard against: an
//! assertion inside llama.cpp ends the process. Where that matters, a scheduler
//! runs in a process of its own.

mod codec;
mod config;
mod cores;
mod device;
mod embedding;
mod engine;
mod executor;
mod factory;
mod gguf;
mod life;
mod model;

pub use config::{LlamacppConfig, PREFILL_CHUNK_TOKENS_DEFAULT, PROCESS_ENVIRONMENT};
pub use cores::CoreSet;
pub use device::{Device, GpuBackend};
pub use factory::LlamacppFactory;
