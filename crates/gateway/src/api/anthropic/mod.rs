//! Anthropic's Messages API. Its errors are written by `http/anthropic_error.rs`, because those
//! of middlewares and unknown paths have the same shape.

mod blocks;
mod body;
mod content;
mod conversation;
pub(super) mod count_tokens;
mod events;
pub(super) mod messages;
mod tools;
