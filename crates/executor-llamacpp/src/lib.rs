//! The llama.cpp engine, the fast one on CPUs.
//!
//! One thread per model owns llama.cpp's context and runs all sequences in one ragged
//! batch. Prompts are processed in bounded chunks together with the decoding sequences,
//! and the keys and values of ended sequences are kept for new ones with the same prefix.
//! Everything else (tokenizer, chat template, validation) runs on the caller's thread.
//!
//! This crate does not depend on actors or HTTP. It cannot prevent an assertion inside
//! llama.cpp from ending the process; use the isolation `process` if that matters.

mod codec;
mod config;
mod cores;
mod device;
mod embedding;
mod engine;
mod executor;
mod factory;
mod gguf;
mod model;
mod thread;

pub use config::{LlamacppConfig, PROCESS_ENVIRONMENT};
pub use cores::CoreSet;
pub use device::{Device, GpuBackend};
pub use factory::LlamacppFactory;
