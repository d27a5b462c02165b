//! Schedulers: who runs when, on one engine.
//!
//! A scheduler owns one [`hostler_executor::ModelExecutor`]. Everyone else holds a
//! [`Scheduler`] handle, and does not know whether the actor behind it is next
//! door or across the network. This crate knows nothing of HTTP or of routing.

mod handle;
mod snapshot;

pub use handle::{Generation, Scheduler, TokenizeInput};
pub use snapshot::{SchedulerSnapshot, SchedulerState};
