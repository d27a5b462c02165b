//! What every engine is tested against.
//!
//! An engine's own tests load it and call [`run_all`]; a check that the engine
//! breaks names itself and says what it saw. The checks know the engine only by
//! its trait, and never wait longer than [`ContractOptions::patience`], so that
//! an engine that hangs fails a check instead of hanging the tests.
//!
//! They block: call them from a plain test, not from an async one.

mod checks;
mod report;
mod subject;

pub use report::{Outcome, Report, Violation};
pub use subject::{Completed, Subject};

use std::time::Duration;

use crate::ExecutorFactory;

/// How thoroughly, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractOptions {
    /// Tokens of an answer that is compared with another; at least 8. Longer
    /// answers see more, and cost more.
    pub answer_tokens: u32,
    /// How often concurrent answers are compared with solo ones.
    pub concurrent_rounds: u32,
    /// How many short requests must leave nothing behind.
    pub short_requests: u32,
    /// The longest that one thing may take before the engine counts as hung.
    pub patience: Duration,
}

impl Default for ContractOptions {
    fn default() -> Self {
        Self { answer_tokens: 24, concurrent_rounds: 3, short_requests: 200, patience: Duration::from_secs(60) }
    }
}

/// One promise that an engine keeps or breaks.
#[derive(Clone, Copy)]
pub struct Check {
    /// What is promised.
    pub name: &'static str,
    /// Whether it is kept.
    pub run: fn(&Subject) -> Result<(), Violation>,
}

/// Every check, in the order in which [`run_all`] runs them. A test that needs
/// one of them alone finds it by its name.
pub const CHECKS: &[Check] = checks::ALL;

/// Loads an engine, runs every check on it, drops it while it works, and loads
/// it once more.
///
/// # Errors
/// A [`Violation`] where it cannot even be loaded. What it breaks after that is
/// in the [`Report`].
pub fn run_all(factory: &dyn ExecutorFactory, options: &ContractOptions) -> Result<Report, Violation> {
    let subject = Subject::load(factory, options.clone())?;
    let mut report = Report::default();
    for check in CHECKS {
        report.time(check.name, || (check.run)(&subject));
    }
    report.time(checks::END_OF_LIFE, || checks::end_of_life(subject, factory));
    Ok(report)
}
