//! Results: what is kept of a benchmark, with all that is needed to repeat it.

mod compare;
mod file;
mod machine;
mod metric;
mod ratio;
mod series;

pub use compare::{Change, Comparison, Verdict};
pub use file::{FileError, read, write};
pub use machine::Machine;
pub use metric::{Better, Latency, Metric, MetricError, Percentile};
pub use ratio::Ratio;
pub use series::{Curves, Series};

use serde::{Deserialize, Serialize};

use crate::bench::Plan;
use crate::ceiling::GeneratorCheck;
use crate::shape::SweepPoint;

/// The version of the format of results. A reader refuses every other.
pub const FORMAT: u32 = 1;

/// A benchmark: what was done, where, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkResult {
    /// [`FORMAT`].
    pub format: u32,
    /// What kind of benchmark it was.
    pub kind: Kind,
    /// Version of this program.
    pub version: String,
    /// The commit that it was built from, where the build was told.
    pub commit: Option<String>,
    /// When it began: seconds since 1970, UTC.
    pub started_unix_seconds: u64,
    /// What the server said of the scheduler that was measured: its model's file and
    /// checksum, its threads, its configuration in effect. `null` for a server that was
    /// asked from outside.
    #[serde(default)]
    pub server: serde_json::Value,
    /// Where the generator ran.
    pub machine: Machine,
    /// What was done.
    pub plan: Plan,
    /// What came of it, for each contestant or each step.
    pub series: Vec<Series>,
    /// How contestants compare, round by round.
    pub ratios: Vec<Ratio>,
    /// The best step of a sweep.
    pub knee: Option<SweepPoint>,
    /// Whether the generator was fast enough.
    pub generator: GeneratorCheck,
}

/// What kind of benchmark it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One target.
    Run,
    /// Two targets, interleaved.
    Versus,
    /// One target, under more and more load.
    Sweep,
    /// The layers of one server, interleaved.
    Ladder,
}

impl BenchmarkResult {
    /// A result of this program, on this machine, that began at
    /// `started_unix_seconds`.
    #[must_use]
    pub fn new(
        kind: Kind,
        started_unix_seconds: u64,
        plan: Plan,
        series: Vec<Series>,
        generator: GeneratorCheck,
    ) -> Self {
        Self {
            format: FORMAT,
            kind,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: None,
            server: serde_json::Value::Null,
            started_unix_seconds,
            machine: Machine::this(),
            plan,
            ratios: ratio::ratios(kind, &series),
            series,
            knee: None,
            generator,
        }
    }
}
