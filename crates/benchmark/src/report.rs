//! How results are shown.

mod csv;
mod markdown;
mod table;

pub use csv::csv;
pub use markdown::{comparison, markdown};
