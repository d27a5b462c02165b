//! What the checks found. A scheduler's contract reports in the same form.

use std::fmt;
use std::time::{Duration, Instant};

/// What an engine (or a scheduler) did that it must not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// How one check went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The check's name.
    pub name: &'static str,
    /// Whether it kept what is promised.
    pub result: Result<(), Violation>,
    /// How long it took.
    pub took: Duration,
}

/// How all checks went. Printed, it is one line a check.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// For tests: ends the test where a promise is broken.
    ///
    /// # Panics
    /// Where a promise is broken, with the whole report.
    #[track_caller]
    pub fn assert_kept(&self) {
        let broken = self.outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        assert!(broken == 0, "{broken} promises are broken:\n{self}");
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
                Ok(()) => writeln!(f, "kept    {name} ({took:.1?})")?,
                Err(violation) => writeln!(f, "BROKEN  {name} ({took:.1?}): {violation}")?,
            }
        }
        Ok(())
    }
}

/// Leaves a check with a violation unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($says:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::contract::Violation(format!($($says)+)));
        }
    };
}
pub(super) use ensure;
