//! Formats of tool calls and reasoning in the output of models, as data.
//!
//! [`Parser`] splits an answer into content, reasoning and calls while it is generated. The
//! formats themselves are tables ([`ToolFormat`](hostler_protocol::ToolFormat) names them). All
//! of it is pure: it knows no engine, no tokenizer and no HTTP.

mod event;
mod format;
mod parser;
mod tool;

pub use event::Event;
pub use parser::Parser;
pub use tool::Tool;
