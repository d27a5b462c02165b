//! What the benchmark service asks of the process around it.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_loadgen::target::EnergyMeter;
use hostler_protocol::SchedulerId;

/// Facts about a scheduler that are needed to repeat a benchmark and that this crate cannot
/// know: the model's file and checksum, threads, the effective configuration.
#[async_trait]
pub trait Facts: Send + Sync + 'static {
    /// The facts as a JSON object, without secrets.
    async fn of(&self, scheduler: &SchedulerId) -> serde_json::Value;

    /// The meter of the energy that the scheduler's device uses; `None` if it has none.
    fn energy(&self, _scheduler: &SchedulerId) -> Option<Arc<dyn EnergyMeter>> {
        None
    }
}

/// No facts.
#[async_trait]
impl Facts for () {
    async fn of(&self, _: &SchedulerId) -> serde_json::Value {
        serde_json::Value::Null
    }
}
