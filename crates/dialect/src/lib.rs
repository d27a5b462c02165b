//! Formats of tool calls and reasoning in the output of models, as data.
//!
//! [`Parser`] splits an answer into content, reasoning and calls while it is generated, and
//! [`grammar`] forces valid calls. [`detect`] finds a model's dialect by what its chat template
//! renders; for a template without tools, [`describe`] tells the model how to call them. The
//! formats themselves are tables ([`ToolFormat`](hostler_protocol::ToolFormat) names them). All of
//! it is pure: it knows no engine, no tokenizer and no HTTP.

mod answer;
mod conversation;
mod describe;
mod detect;
mod event;
mod format;
mod grammar;
mod markers;
mod parser;
mod tool;

pub use answer::answer_grammar;
pub use conversation::described;
pub use describe::{describe, render_calls, render_result};
pub use detect::{detect, ends_in_reasoning, is_described, probes, reasoning_span};
pub use event::Event;
pub use grammar::{Choice, Forced, grammar};
pub use markers::markers;
pub use parser::Parser;
pub use tool::Tool;
