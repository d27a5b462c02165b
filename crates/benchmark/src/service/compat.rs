//! `POST /benchmark`, in the words of the system that Hostler succeeds.

use hostler_protocol::{ClaimDrain, ErrorCode, ModelId, RequestError, SchedulerId};
use serde::{Deserialize, Serialize};

use super::handle::Benchmarks;
use super::order::{ClaimTerms, Order};
use super::record::{BenchmarkId, BenchmarkRecord, Claimed};
use crate::measure::Latencies;
use crate::shape::Shape;
use crate::workload::{Length, LengthError};

/// The request. What that system did not know stands last.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompatOrder {
    /// How many requests.
    pub requests: u64,
    /// How many at a time.
    pub concurrency: u32,
    /// Tokens of each answer.
    pub max_tokens: u32,
    /// What the model reads.
    pub prompt: Option<String>,
    /// Sampling temperature.
    pub temperature: f32,
    /// The model; `None`: the only one.
    pub model: Option<ModelId>,
    /// The scheduler; `None`: the least loaded one of the model.
    pub scheduler: Option<SchedulerId>,
    /// What happens to the requests that the scheduler has.
    pub drain: ClaimDrain,
    /// So many schedulers of the model must go on serving; `None`: 1, or 0 where the
    /// model has but one scheduler. Requests wait for the benchmark's end then.
    pub min_serving: Option<u32>,
    /// Whether that is only a wish.
    pub force: bool,
}

impl Default for CompatOrder {
    fn default() -> Self {
        Self {
            requests: 40,
            concurrency: 8,
            max_tokens: 50,
            prompt: None,
            temperature: 0.7,
            model: None,
            scheduler: None,
            drain: ClaimDrain::Wait,
            min_serving: None,
            force: false,
        }
    }
}

/// The answer. Times are in seconds; every number is measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CompatAnswer {
    /// Requests that were made.
    pub total_requests: u64,
    /// Those that brought a complete answer.
    pub successful_requests: u64,
    /// Those that did not.
    pub failed_requests: u64,
    /// Mean time from sending a request to the end of its answer.
    pub avg_response_time: f64,
    /// The shortest.
    pub min_response_time: f64,
    /// The longest.
    pub max_response_time: f64,
    /// Complete answers per second.
    pub avg_throughput: f64,
    /// Generated tokens per second, of all requests together.
    pub avg_tokens_per_second: f64,
    /// Tokens of all prompts and answers.
    pub total_tokens_processed: u64,
    /// Mean length of an answer, in tokens.
    pub avg_generated_tokens: f64,
    /// From the first request's sending to the last one's end.
    pub total_time: f64,
    /// The benchmark's name in `/v1/benchmarks`, where its whole result is.
    pub id: BenchmarkId,
    /// Which scheduler was claimed, and how long it took to drain.
    pub claim: Option<Claimed>,
    /// TTFT, ITL, TPOT and E2E as percentiles.
    pub percentiles: Latencies,
}

impl Benchmarks {
    /// Carries out what `POST /benchmark` asks for. Dropping the future cancels it.
    ///
    /// # Errors
    /// As [`Benchmarks::run`].
    pub async fn run_compat(&self, asked: CompatOrder) -> Result<CompatAnswer, RequestError> {
        let CompatOrder { max_tokens, concurrency, drain, min_serving, force, .. } = asked;
        let max_tokens = Length::fixed(max_tokens)
            .map_err(|error: LengthError| RequestError::invalid("max_tokens", format!("max_tokens: {error}")))?;
        let mut order = Order {
            model: asked.model,
            scheduler: asked.scheduler,
            shape: Shape::Concurrent { concurrency },
            prompt: asked.prompt,
            requests: Some(asked.requests),
            max_tokens,
            temperature: asked.temperature,
            ..Order::default()
        };
        let others = u32::try_from(self.schedulers_of(&order).saturating_sub(1)).unwrap_or(u32::MAX);
        order.claim = ClaimTerms { drain, force, min_serving: min_serving.unwrap_or(others.min(1)), ..order.claim };
        answer(&self.run(order).await?)
    }
}

fn answer(record: &BenchmarkRecord) -> Result<CompatAnswer, RequestError> {
    let run = record
        .result
        .as_ref()
        .and_then(|result| result.series.first()?.runs.first())
        .ok_or_else(|| RequestError::new(ErrorCode::Internal, "the benchmark ended without a result"))?;
    let successful = run.requests - run.failed;
    let times = run.latencies.e2e;
    Ok(CompatAnswer {
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
