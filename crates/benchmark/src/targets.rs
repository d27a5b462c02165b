//! Targets in this process: the layers of the ladder below HTTP.
//!
//! All of them receive the same request, and their tokens are counted like those of a
//! stream over HTTP: by pieces that have text.

mod actors;
mod engine;
mod request;

pub use actors::{RouterTarget, SchedulerTarget};
pub use engine::EngineTarget;
pub use request::RequestTemplate;
