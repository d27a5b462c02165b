//! How results are shown.

mod csv;
mod document;
mod html;
mod markdown;
mod plots;
mod table;
mod words;

pub use csv::csv;
pub use html::html;
pub use markdown::{comparison, markdown};
pub use plots::PlotError;
