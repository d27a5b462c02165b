//! The contract suite: what every engine is tested against.
//!
//! The tests of an engine call [`run_all`] with its factory; each failed check
//! reports what it observed. The checks use the engine only through its trait, and
//! never wait longer than [`ContractOptions::patience`], so that an engine that hangs
//! fails a check instead of hanging the tests.
//!
//! The checks block: call them from a synchronous test.

mod checks;
mod report;
mod subject;

pub use checks::{CHECKS, Check, run_all};
pub use report::{Outcome, Report, Violation};
pub use subject::{Completed, Subject};

use std::time::Duration;

/// How thorough the checks are, and how long they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractOptions {
    /// Tokens of each answer that is compared with another; at least 8. Longer
    /// answers find more and take longer.
    pub answer_tokens: u32,
    /// How often concurrent answers are compared with solo ones.
    pub concurrent_rounds: u32,
    /// How many short requests the leak check runs.
    pub short_requests: u32,
    /// Longest wait for any single event before the engine counts as hung.
    pub patience: Duration,
}

impl Default for ContractOptions {
    fn default() -> Self {
        Self { answer_tokens: 24, concurrent_rounds: 3, short_requests: 200, patience: Duration::from_secs(60) }
    }
}
