//! Answers of a given form, by llguidance: JSON schemas, regular expressions, Lark
//! grammars.
//!
//! A client decides what is compiled, and llguidance can neither be interrupted nor does
//! it limit its recursion. So constraints are compiled on a thread of their own
//! (`pool`), with limits on what they may cost (`compiler`, `schema`), and the compiled ones are
//! kept for the next request (`cache`).

mod cache;
mod compiler;
mod pool;
mod schema;
mod state;

pub use compiler::ConstraintCompiler;
pub use state::ConstraintState;
