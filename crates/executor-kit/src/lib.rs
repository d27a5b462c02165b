//! What real engines share, so that the same request means the same on each of them.
//!
//! A request is checked ([`Limits`]), a conversation laid out ([`ChatTemplate`]), a
//! token chosen ([`sampling`]), an answer kept in its form ([`constraint`]). An
//! engine hands a sequence to the [`Reception`], gets a [`Generation`], gives it the
//! logits of every step, and feeds back the token that it is told.
//!
//! This crate knows no engine and no clock. Its one thread is the one on which
//! constraints are compiled.

pub mod constraint;
mod generation;
mod limits;
mod reception;
pub mod sampling;
mod template;

pub use generation::{Ending, Generation};
pub use limits::{Limits, TOP_LOGPROBS_MAX};
pub use reception::Reception;
pub use template::ChatTemplate;
