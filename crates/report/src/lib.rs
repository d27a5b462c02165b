//! Reports of benchmark results: Markdown, HTML with plots, CSV.
//!
//! This crate reads results; it knows nothing of how they were measured.

mod csv;
mod document;
mod format;
mod html;
mod markdown;
mod plots;
mod table;

pub use csv::{CsvError, csv};
pub use html::{HtmlError, html};
pub use markdown::{comparison, markdown, too_few_rounds};
pub use plots::PlotError;
