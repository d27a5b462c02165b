//! Responses that are stored, with their input, so that later requests can continue them.

mod folder;
mod record;
mod responses;
mod table;

pub(crate) use record::Record;
pub(crate) use responses::{Responses, RunningResponse};
