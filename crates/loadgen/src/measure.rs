//! Measurements and their statistics. Pure, except for [`ProcessUsage`] and the clock of
//! [`Stopwatch`].
//!
//! Definitions: TTFT is the time from when a request was due to its first token that has text.
//! ITL is every gap between two such tokens. TPOT is (E2E − TTFT) / (n − 1) for n output
//! tokens. E2E is the time from when the request was due to the end of the answer. A closed
//! loop's requests are due when they are sent. Goodput counts the requests that met every
//! objective.

mod distribution;
mod estimate;
mod failure;
mod process;
mod record;
mod significance;
mod stopwatch;
mod summary;
mod timeline;

pub use distribution::{Distribution, Percentiles};
pub use estimate::Estimate;
pub use failure::Failure;
pub use process::ProcessUsage;
pub use record::{Answer, RequestRecord, Slo, Window};
pub use significance::{holm, larger, smallest};
pub use stopwatch::{LiveCounters, Stopwatch};
pub use summary::{Distributions, Latencies, RunSummary};
pub use timeline::Timeline;
