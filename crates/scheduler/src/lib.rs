//! Schedulers: who runs when, on one engine.
//!
//! A scheduler owns one [`hostler_executor::ModelExecutor`]. Everyone else holds a
//! [`Scheduler`] handle, and does not know whether the actor behind it is next
//! door or across the network. This crate knows nothing of HTTP or of routing.
//!
//! The life of a request: `local` checks it, turns it into tokens and takes a
//! permit; `actor` asks [`state`] whether it may enter the queue, and starts it
//! when the state says so; `observer` hears from the engine how it fares; `stream`
//! is what the client reads. `owner` loads the engine, and replaces it together
//! with the actor when it fails.

mod actor;
mod board;
pub mod config;
pub mod contract;
mod embedding;
mod handle;
mod incarnation;
mod intake;
mod life;
mod local;
mod messages;
mod metrics;
mod observer;
mod owner;
mod snapshot;
pub mod state;
mod stream;
mod trace;
mod watchdog;

pub use config::SchedulerConfig;
pub use handle::{Generation, Scheduler, TokenizeInput};
pub use local::LocalScheduler;
pub use snapshot::{ClaimSnapshot, SchedulerSnapshot, SchedulerState};
