//! Generations behind an HTTP request: submitted, then collected or streamed.

mod answer;
mod call;
mod labels;
mod running;
mod start;
mod stream;

pub(crate) use answer::{Answer, Tally, UsageBody};
pub(crate) use call::GenerationCall;
pub(crate) use labels::{LabelledToken, TokenLogprob};
pub(crate) use start::{choice_ids, response_id};
pub(crate) use stream::ResponseFormat;
