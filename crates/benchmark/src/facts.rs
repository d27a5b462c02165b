//! What the benchmark service asks of the process around it.

use async_trait::async_trait;
use hostler_protocol::SchedulerId;

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
