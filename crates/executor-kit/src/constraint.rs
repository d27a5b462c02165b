//! Constrained answers, with llguidance: JSON schemas, regular expressions, Lark grammars.
//!
//! Clients choose what is compiled, and llguidance cannot be interrupted and does not limit
//! its recursion. So constraints are compiled on their own thread (`pool`), with limits on
//! their cost (`compiler`, `schema`), and cached for later requests (`cache`). The tokens that a
//! constraint allows next are computed by the engine's thread, within a budget (`budget`).

mod budget;
mod cache;
mod compiler;
mod pool;
mod schema;
mod state;

pub use compiler::ConstraintCompiler;
pub use state::ConstraintState;
