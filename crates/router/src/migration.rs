//! What becomes of an answer whose scheduler fails in the middle of it: it goes on
//! elsewhere, and its reader sees one stream.

mod ending;
mod ledger;
mod stream;

pub(crate) use ledger::Ledger;
pub(crate) use stream::{Segment, Unbroken};
