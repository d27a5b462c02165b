//! Request bodies: read within limits, parsed strictly, wrong fields named.

mod constraint;
mod fields;
mod generation;
mod honoured;
mod json;
mod message;
mod object;
mod parameters;
mod unsupported;
mod wishes;

pub(crate) use fields::{Given, PromptField};
pub(crate) use generation::GenerationBody;
pub(crate) use json::Json;
pub(crate) use message::{Message, conversation};
pub(crate) use object::Object;
pub(crate) use parameters::{Endpoint, Parameters};
pub(crate) use wishes::Wishes;
