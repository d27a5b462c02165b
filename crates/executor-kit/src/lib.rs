//! The parts that the real engines share, so that a request has the same effect on all of
//! them: validation ([`Limits`]), chat templates ([`ChatTemplate`]), sampling
//! ([`sampling`]) and constraints ([`constraint`]).
//!
//! An engine passes a sequence to the [`GenerationBuilder`] and gets a [`Generation`]. In
//! every step, it passes the logits to the generation, which returns the next input token.
//!
//! This crate uses no engine and no clock. Its only thread compiles constraints.

mod builder;
pub mod constraint;
mod generation;
mod limits;
pub mod sampling;
mod template;

pub use builder::GenerationBuilder;
pub use generation::{Ending, Generation};
pub use limits::{Limits, TOP_LOGPROBS_MAX};
pub use template::ChatTemplate;
