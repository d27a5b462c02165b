//! What is measured, and the statistics of it. Pure, but for [`ProcessUsage`]
//! and the clock of [`Stopwatch`].
//!
//! Definitions: TTFT is the time from sending a request to its first token that
//! has text. ITL is every gap between two such tokens. TPOT is
//! (E2E − TTFT) / (n − 1) for n output tokens. E2E is the time from sending to
//! the end. Goodput counts the requests that met every objective.

mod distribution;
mod estimate;
mod failure;
mod live;
mod process;
mod record;
mod slo;
mod stopwatch;
mod summary;
mod timeline;

pub use distribution::{Distribution, Percentiles};
pub use estimate::Estimate;
pub use failure::Failure;
pub use live::Live;
pub use process::ProcessUsage;
pub use record::{Answer, RequestRecord, Window};
pub use slo::Slo;
pub use stopwatch::Stopwatch;
pub use summary::{Distributions, Latencies, RunSummary};
pub use timeline::Timeline;
