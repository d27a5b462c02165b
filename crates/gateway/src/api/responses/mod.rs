//! OpenAI's Responses API.

mod body;
pub(super) mod create;
mod format;
mod input;
mod items;
mod object;
mod output;
pub(super) mod stored;
mod tools;

/// Begins the id of a response; the id of its request follows.
const PREFIX: &str = "resp_";
