//! Schedulers: each decides which requests run when on one engine.
//!
//! A scheduler owns one [`hostler_executor::ModelExecutor`]. Other crates hold a
//! [`Scheduler`] handle, which hides whether the actor is in this process or on another
//! machine. This crate knows nothing of HTTP or of routing.
//!
//! The path of a request: `local` takes a permit, checks the request and tokenizes its
//! prompt (`intake`); `actor` asks [`state`] whether it may enter the queue, and starts it
//! when the state says so; `observer` receives the engine's progress; `stream` is what the
//! client reads. `supervisor` loads the engine, and replaces it together with the actor
//! (an `incarnation`) when one of them fails.

mod active;
mod actor;
mod capability;
mod config;
pub mod contract;
mod embedding;
mod handle;
mod incarnation;
mod intake;
mod local;
mod messages;
mod metrics;
mod observer;
mod publisher;
mod shared;
mod snapshot;
pub mod state;
mod stream;
mod supervisor;
mod text_work;
mod trace;
mod watchdog;

pub use capability::{Abilities, Needs, Shortfall};
pub use config::SchedulerConfig;
pub use handle::{Generation, Scheduler, TokenizeInput};
pub use local::LocalScheduler;
pub use snapshot::{ClaimSnapshot, SchedulerSnapshot, SchedulerState};
