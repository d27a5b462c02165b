//! What is measured: anything that answers a request with tokens.

pub mod http;
pub mod layer;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::measure::{Answer, Failure, Stopwatch};
use crate::workload::Job;

/// Anything that answers a request with tokens.
#[async_trait]
pub trait Target: Send + Sync + 'static {
    /// What it is, for results.
    fn describe(&self) -> TargetDescription;

    /// Makes one request, and has `stopwatch` note every token with text as it
    /// comes. Dropping the future cancels the request.
    ///
    /// # Errors
    /// Why there is no complete answer.
    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure>;
}

/// What was measured, so that it can be measured again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// The layer that was asked: `http-stream`, `http`, `router`, `grpc`, `scheduler`, `engine`.
    pub layer: String,
    /// Where it is: a URL, or a scheduler's name.
    pub address: String,
    /// The model that was asked.
    pub model: String,
    /// How it was asked: endpoint, streaming or not, further parameters.
    pub settings: serde_json::Value,
    /// What it says of the model and itself.
    pub facts: serde_json::Value,
}
