//! Results of benchmarks, with everything needed to repeat them.

mod compare;
mod metric;
mod series;

pub use compare::{Change, Comparison, SIGNIFICANCE, Verdict};
pub use metric::{Better, Latency, Metric, MetricError, Percentile};
pub use series::{Curves, Ratio, Series};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ceiling::GeneratorCheck;
use crate::plan::Plan;
use crate::shape::SweepPoint;

/// Version of the result format. [`read`] refuses other versions.
pub const FORMAT: u32 = 1;

/// The result of a benchmark: the plan, the environment, and the measurements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkResult {
    /// [`FORMAT`].
    pub format: u32,
    /// The kind of benchmark.
    pub kind: Kind,
    /// Version of this program.
    pub version: String,
    /// The commit it was built from, if the build knew it.
    pub commit: Option<String>,
    /// Start time in seconds since 1970, UTC.
    pub started_unix_seconds: u64,
    /// What the server reported about the measured scheduler: model file and checksum,
    /// threads, effective configuration. `null` for a server measured from outside.
    #[serde(default)]
    pub server: serde_json::Value,
    /// The machine of the load generator.
    pub machine: Machine,
    /// The plan.
    pub plan: Plan,
    /// The measurements, one series per target or step.
    pub series: Vec<Series>,
    /// Ratios between series.
    pub ratios: Vec<Ratio>,
    /// The knee of a sweep.
    pub knee: Option<SweepPoint>,
    /// Whether the load generator was fast enough.
    pub generator: GeneratorCheck,
}

/// The kind of benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One target.
    Run,
    /// Two targets, interleaved.
    Versus,
    /// One target at increasing concurrency.
    Sweep,
    /// The layers of one server, interleaved.
    Ladder,
}

/// The machine that the load generator ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// The processor's name, if the system reports it.
    pub processor: Option<String>,
    /// Number of hardware threads.
    pub cpus: usize,
}

impl BenchmarkResult {
    /// A result of this program on this machine.
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
            machine: Machine::current(),
            plan,
            ratios: kind.ratios(&series),
            series,
            knee: None,
            generator,
        }
    }
}

impl Kind {
    /// The ratios for this kind of benchmark: the first target to the second; each rung to
    /// the one below and to the lowest.
    fn ratios(self, series: &[Series]) -> Vec<Ratio> {
        match self {
            Self::Run | Self::Sweep => Vec::new(),
            Self::Versus => series.windows(2).filter_map(|pair| Ratio::between(&pair[0], &pair[1])).collect(),
            Self::Ladder => {
                let below = series.windows(2).filter_map(|pair| Ratio::between(&pair[1], &pair[0]));
                let lowest = series.iter().skip(2).filter_map(|rung| Ratio::between(rung, series.first()?));
                below.chain(lowest).collect()
            }
        }
    }
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn current() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map(|(_, name)| name.trim().to_owned());
        Self {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            processor,
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// A result file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// An I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not a result.
    #[error("{} is not a benchmark result: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The file has another format version.
    #[error("{} has format {found}; this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
}

/// The part of a file that determines how to read the rest.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// Reads a result from a JSON file.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path) -> Result<BenchmarkResult, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let json = |source| FileError::Json { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let header: Header = serde_json::from_str(&text).map_err(json)?;
    if header.format != FORMAT {
        return Err(FileError::Format { path: path.to_owned(), found: header.format });
    }
    serde_json::from_str(&text).map_err(json)
}

/// Writes a result to a JSON file, replacing it if it exists.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(path: &Path, result: &BenchmarkResult) -> Result<(), FileError> {
    let text =
        serde_json::to_string_pretty(result).map_err(|source| FileError::Json { path: path.to_owned(), source })?;
    std::fs::write(path, text + "\n").map_err(|source| FileError::Io { path: path.to_owned(), source })
}
