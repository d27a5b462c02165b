//! Generations behind an HTTP request: submitted, awaited, collected or streamed.

mod answer;
mod choice_id;
mod labels;
mod running;
mod start;
mod stream;
mod usage;

pub(crate) use answer::{Answer, collect};
pub(crate) use choice_id::choice_ids;
pub(crate) use labels::LabelledToken;
pub(crate) use start::{Asked, start};
pub(crate) use stream::{StreamFormat, event, respond};
pub(crate) use usage::{Tally, UsageBody};
