//! `POST /benchmark`: the API of the system that Hostler succeeds.

use hostler_loadgen::measure::Latencies;
use hostler_loadgen::shape::Shape;
use hostler_loadgen::workload::{Length, LengthError};
use hostler_protocol::{ClaimDrain, ErrorCode, ModelId, RequestError, SchedulerId};
use serde::{Deserialize, Serialize};

use super::handle::Benchmarks;
use super::order::{ClaimTerms, DEFAULT_CONCURRENCY, DEFAULT_MAX_TOKENS, DEFAULT_REQUESTS, Order};
use super::record::{BenchmarkId, BenchmarkRecord, HeldClaim};

/// The request. The fields from `model` on are extensions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompatRequest {
    /// Number of requests.
    pub requests: u64,
    /// Requests in flight.
    pub concurrency: u32,
    /// Tokens of each answer.
    pub max_tokens: u32,
    /// The prompt.
    pub prompt: Option<String>,
    /// Sampling temperature.
    pub temperature: f32,
    /// The model; `None`: the only one.
    pub model: Option<ModelId>,
    /// The scheduler; `None`: the least loaded one of the model.
    pub scheduler: Option<SchedulerId>,
    /// What happens to the requests that the scheduler is processing.
    pub drain: ClaimDrain,
    /// Number of schedulers of the model that must remain serving; `None`: 1, or 0 if the
    /// model has only one scheduler. Requests then wait for the end of the benchmark.
    pub min_serving: Option<u32>,
    /// Whether to claim the scheduler even if fewer remain serving.
    pub force: bool,
}

impl Default for CompatRequest {
    fn default() -> Self {
        Self {
            requests: DEFAULT_REQUESTS,
            concurrency: DEFAULT_CONCURRENCY,
            max_tokens: DEFAULT_MAX_TOKENS,
            prompt: None,
            temperature: Order::default().temperature,
            model: None,
            scheduler: None,
            drain: ClaimDrain::Wait,
            min_serving: None,
            force: false,
        }
    }
}

/// The response. Times are in seconds; every number is measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompatResponse {
    /// Requests sent.
    pub total_requests: u64,
    /// Requests with a complete answer.
    pub successful_requests: u64,
    /// Requests without one.
    pub failed_requests: u64,
    /// Mean time from sending a request to the end of its answer.
    pub avg_response_time: f64,
    /// The shortest such time.
    pub min_response_time: f64,
    /// The longest such time.
    pub max_response_time: f64,
    /// Complete answers per second.
    pub avg_throughput: f64,
    /// Output tokens per second of all requests together.
    pub avg_tokens_per_second: f64,
    /// Tokens of all prompts and answers.
    pub total_tokens_processed: u64,
    /// Mean length of an answer, in tokens.
    pub avg_generated_tokens: f64,
    /// Time from sending the first request to the end of the last one.
    pub total_time: f64,
    /// The benchmark's id in `/v1/benchmarks`, which has the whole result.
    pub id: BenchmarkId,
    /// The claimed scheduler and its drain time.
    pub claim: Option<HeldClaim>,
    /// TTFT, ITL, TPOT and E2E as percentiles.
    pub percentiles: Latencies,
}

impl Benchmarks {
    /// Runs the benchmark of `POST /benchmark`. Dropping the future cancels it.
    ///
    /// # Errors
    /// As [`Benchmarks::run`].
    pub async fn run_compat(&self, request: CompatRequest) -> Result<CompatResponse, RequestError> {
        let CompatRequest { max_tokens, concurrency, drain, min_serving, force, .. } = request;
        let max_tokens = Length::fixed(max_tokens)
            .map_err(|error: LengthError| RequestError::invalid("max_tokens", format!("max_tokens: {error}")))?;
        let mut order = Order {
            model: request.model,
            scheduler: request.scheduler,
            shape: Shape::Concurrent { concurrency },
            prompt: request.prompt,
            requests: Some(request.requests),
            max_tokens,
            temperature: request.temperature,
            ..Order::default()
        };
        let others = u32::try_from(self.schedulers_of(&order).saturating_sub(1)).unwrap_or(u32::MAX);
        order.claim = ClaimTerms { drain, force, min_serving: min_serving.unwrap_or(others.min(1)), ..order.claim };
        response(&self.run(order).await?)
    }
}

fn response(record: &BenchmarkRecord) -> Result<CompatResponse, RequestError> {
    let run = record
        .result
        .as_ref()
        .and_then(|result| result.series.first()?.runs.first())
        .ok_or_else(|| RequestError::new(ErrorCode::Internal, "the benchmark ended without a result"))?;
    let successful = run.requests - run.failed;
    let times = run.latencies.e2e;
    Ok(CompatResponse {
        total_requests: run.requests,
        successful_requests: successful,
        failed_requests: run.failed,
        avg_response_time: times.map_or(0.0, |times| times.mean),
        min_response_time: times.map_or(0.0, |times| times.min),
        max_response_time: times.map_or(0.0, |times| times.max),
        avg_throughput: run.requests_per_second,
        avg_tokens_per_second: run.output_tokens_per_second,
        total_tokens_processed: run.prompt_tokens.unwrap_or(0) + run.output_tokens,
        avg_generated_tokens: run.output_tokens as f64 / successful.max(1) as f64,
        total_time: run.seconds,
        id: record.id.clone(),
        claim: record.claim.clone(),
        percentiles: run.latencies,
    })
}
