//! The results of the checks. The scheduler's contract suite reports in the same form.

use std::fmt;
use std::time::{Duration, Instant};

/// How an engine (or a scheduler) broke its contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The check's name.
    pub name: &'static str,
    /// Whether it passed.
    pub result: Result<(), Violation>,
    /// How long it took.
    pub took: Duration,
}

/// The results of all checks. Its `Display` prints one line per check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which the checks ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Asserts that all checks passed.
    ///
    /// # Panics
    /// If a check failed, with the whole report.
    #[track_caller]
    pub fn assert_passed(&self) {
        let failed = self.outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        assert!(failed == 0, "{failed} checks failed:\n{self}");
    }

    pub(super) fn time(&mut self, name: &'static str, check: impl FnOnce() -> Result<(), Violation>) {
        let begun = Instant::now();
        let result = check();
        self.outcomes.push(Outcome { name, result, took: begun.elapsed() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { name, result, took } in &self.outcomes {
            match result {
                Ok(()) => writeln!(f, "passed  {name} ({took:.1?})")?,
                Err(violation) => writeln!(f, "FAILED  {name} ({took:.1?}): {violation}")?,
            }
        }
        Ok(())
    }
}

/// Returns a violation from a check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($says:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::contract::Violation(format!($($says)+)));
        }
    };
}
pub(super) use ensure;
