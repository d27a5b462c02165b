//! The benchmark service of a Hostler: an operator orders a benchmark, and gets the
//! truth about one scheduler of the live cluster, undisturbed by other traffic.
//!
//! [`Benchmarks`] is the handle. Behind it the `BenchmarkActor` ([`actor`]) does what
//! its [`state`] (pure) says: one benchmark at a time, the others in a bounded queue.
//! [`conduct`] carries one out: it claims a scheduler, waits until it is drained,
//! drives it, and gives it back whatever happens. [`store`] keeps what came of them.

mod actor;
mod compat;
mod conduct;
mod handle;
mod messages;
mod metrics;
mod order;
mod progress;
mod record;
mod rungs;
mod state;
mod store;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hostler_protocol::SchedulerId;

pub use compat::{CompatAnswer, CompatOrder};
pub use handle::{Benchmarks, Loopback};
pub use order::{ClaimTerms, Layer, Order, OrderError, Profile};
pub use progress::{Progress, ProgressReport, RunProgress};
pub use record::{BenchmarkId, BenchmarkRecord, Claimed, Status, WhyNot};
pub use wire::{Connected, Wire};

/// What can be set on the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarksConfig {
    /// Where results are kept; `None`: in memory only, until the process ends.
    pub folder: Option<PathBuf>,
    /// Most benchmarks that wait for their turn. Each holds up those behind it for
    /// minutes: eight fill a coffee break.
    pub queue_max: usize,
    /// Most results that are kept; the oldest make room. One takes some 50 kB.
    pub kept_max: usize,
    /// Longest time that a benchmark may take, drain included: so long may an
    /// operator's slip keep a scheduler from its clients.
    pub time_max: Duration,
    /// The commit that this program was built from, where it is known.
    pub commit: Option<String>,
}

impl Default for BenchmarksConfig {
    fn default() -> Self {
        Self { folder: None, queue_max: 8, kept_max: 100, time_max: Duration::from_secs(3600), commit: None }
    }
}

/// What the service cannot know of a scheduler, and whoever repeats a benchmark must:
/// the model's file and its checksum, threads, the configuration in effect.
#[async_trait]
pub trait Facts: Send + Sync + 'static {
    /// All that is known, as a JSON object; no secrets.
    async fn of(&self, scheduler: &SchedulerId) -> serde_json::Value;
}

/// Nothing is known.
#[async_trait]
impl Facts for () {
    async fn of(&self, _: &SchedulerId) -> serde_json::Value {
        serde_json::Value::Null
    }
}
