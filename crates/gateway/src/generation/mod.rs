//! Generations behind an HTTP request: submitted, then collected or streamed.

mod answer;
mod call;
mod labels;
mod parts;
mod running;
mod start;
mod stream;

pub(crate) use answer::{Answer, Tally, UsageBody};
pub(crate) use call::GenerationCall;
pub(crate) use labels::{LabelledToken, TokenLogprob};
pub(crate) use parts::{Call, Item, Message, Part};
pub(crate) use start::choice_ids;
pub(crate) use stream::{End, Piece, ResponseFormat};
