//! Targets: anything that answers a request with tokens.

pub mod http;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::measure::{Answer, Failure, Stopwatch};
use crate::shape::Shape;
use crate::workload::Job;

/// Anything that answers a request with tokens.
#[async_trait]
pub trait Target: Send + Sync + 'static {
    /// Description for results.
    fn describe(&self) -> TargetDescription;

    /// Sends one request and records every token with text in `stopwatch` as it arrives.
    /// Dropping the future cancels the request.
    ///
    /// # Errors
    /// Why there is no complete answer.
    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure>;
}

/// What was measured, so that the measurement can be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// The layer: `http-stream`, `http`, `router`, `grpc`, `scheduler`, `engine`.
    pub layer: String,
    /// A URL, or a scheduler's name.
    pub address: String,
    /// The model.
    pub model: String,
    /// Request settings: endpoint, streaming, additional parameters.
    pub settings: serde_json::Value,
    /// What the target reports about the model and itself.
    pub facts: serde_json::Value,
}

/// Reads the energy that the hardware behind a target has used.
pub trait EnergyMeter: Send + Sync {
    /// Energy since a fixed moment, in joules; `None` if it cannot be read. May block for
    /// milliseconds.
    fn joules(&self) -> Option<f64>;
}

/// A target with its name in results, its load, and the processes that serve it.
#[derive(Clone)]
pub struct NamedTarget {
    /// The name in results.
    pub name: String,
    /// The target.
    pub target: Arc<dyn Target>,
    /// When requests are sent.
    pub shape: Shape,
    /// The processes whose CPU time and memory are the server's.
    pub server: ServerProcesses,
    /// The meter of the energy that the target uses, if it has one.
    pub energy: Option<Arc<dyn EnergyMeter>>,
}

/// The processes whose CPU time and memory are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerProcesses {
    /// Processes on this machine; empty if the server runs elsewhere.
    Pids(Vec<u32>),
    /// This process, so that the server's usage cannot be separated from the generator's.
    ThisProcess,
}
