//! Configuration of the benchmark service, and what it asks of the process around it.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hostler_protocol::SchedulerId;

/// Configuration of the benchmark service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarksConfig {
    /// Folder of the results; `None`: they are kept in memory until the process ends.
    pub folder: Option<PathBuf>,
    /// Most benchmarks in the queue. Each takes minutes, so eight already wait long.
    pub queue_max: usize,
    /// Most stored results; the oldest are removed. One takes about 50 kB.
    pub kept_max: usize,
    /// Longest time of a benchmark, including the drain: a mistake in an order must not keep
    /// a scheduler from its clients for longer.
    pub time_max: Duration,
    /// The commit that this program was built from, if known.
    pub commit: Option<String>,
}

impl Default for BenchmarksConfig {
    fn default() -> Self {
        Self { folder: None, queue_max: 8, kept_max: 100, time_max: Duration::from_secs(3600), commit: None }
    }
}

/// Facts about a scheduler that are needed to repeat a benchmark and that this crate cannot
/// know: the model's file and checksum, threads, the effective configuration.
#[async_trait]
pub trait Facts: Send + Sync + 'static {
    /// The facts as a JSON object, without secrets.
    async fn of(&self, scheduler: &SchedulerId) -> serde_json::Value;
}

/// No facts.
#[async_trait]
impl Facts for () {
    async fn of(&self, _: &SchedulerId) -> serde_json::Value {
        serde_json::Value::Null
    }
}
