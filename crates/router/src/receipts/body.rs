//! What a receipt consists of: `GET /admin/receipts`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_config::RoutingPolicy;
use hostler_protocol::{ErrorCode, FinishReason, ModelId, RequestId, SchedulerId};
use serde::{Serialize, Serializer};

use crate::decision::record::{Decision, Scored};
use crate::policy::Reason;

/// What was decided for one request, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receipt {
    /// The request.
    pub request: RequestId,
    /// Its model.
    pub model: ModelId,
    /// When it came, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Each choice of a scheduler, in order: the first one, retries and migrations.
    pub decisions: Vec<ReceiptDecision>,
    /// Further choices, which are not kept.
    pub decisions_omitted: u32,
    /// How it ended.
    pub end: ReceiptEnd,
    /// From its arrival at the router until its end.
    pub duration_ms: f64,
    /// What came of it.
    pub outcome: ReceiptOutcome,
}

/// One choice of a scheduler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiptDecision {
    /// The chosen scheduler.
    pub scheduler: SchedulerId,
    /// The policy that chose.
    pub policy: RoutingPolicy,
    /// Why this scheduler.
    pub reason: Reason,
    /// Since the request's arrival.
    pub after_ms: f64,
    /// How long the choice took.
    pub cost_us: f64,
    /// Schedulers of the model that take requests.
    pub able: u32,
    /// Complete blocks at the beginning of the prompt that were compared.
    pub prompt_blocks: u32,
    /// The chosen scheduler and the next best, as they were known then; a few.
    pub candidates: Vec<ReceiptCandidate>,
    /// What the shadow policy would have chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<SchedulerId>,
    /// Why the scheduler did not finish the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
}

/// A scheduler that could have got the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiptCandidate {
    /// Its name.
    pub scheduler: SchedulerId,
    /// The tokens that it had to read and generate for each place in its batch: its score, the
    /// least is best.
    pub load: f64,
    /// The tokens that it had to read and generate.
    pub work_tokens: u64,
    /// Its requests, waiting and running.
    pub requests: u32,
    /// Blocks of the prompt that it had read before.
    pub matched_blocks: u32,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptEnd {
    /// The model ended the answer, or a stop sequence matched.
    Stop,
    /// The answer has its maximum length.
    Length,
    /// The embeddings were computed.
    Embedded,
    /// The client left, or the request was cancelled.
    Cancelled,
    /// An error.
    Failed(ErrorCode),
}

/// What came of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ReceiptOutcome {
    /// From its submission until an engine started it.
    pub queue_ms: Option<f64>,
    /// From its submission until the first token.
    pub ttft_ms: Option<f64>,
    /// Tokens of the prompt; 0 if no scheduler admitted it.
    pub prompt_tokens: u32,
    /// Of these, tokens that came from the engine's cache.
    pub cached_tokens: u32,
    /// Generated tokens.
    pub completion_tokens: u32,
    /// How often the answer was continued on another scheduler.
    pub moves: u32,
}

impl Receipt {
    pub(super) fn begin(request: RequestId, model: ModelId, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            request,
            model,
            at_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            decisions: Vec::new(),
            decisions_omitted: 0,
            // Who ends it otherwise says so.
            end: ReceiptEnd::Cancelled,
            duration_ms: 0.0,
            outcome: ReceiptOutcome::default(),
        }
    }
}

impl ReceiptDecision {
    pub(super) fn new(decision: Decision, after: Duration) -> Self {
        Self {
            scheduler: decision.scheduler,
            policy: decision.policy,
            reason: decision.reason,
            after_ms: milliseconds(after),
            cost_us: decision.cost.as_secs_f64() * 1e6,
            able: decision.able,
            prompt_blocks: decision.prompt_blocks,
            candidates: decision.candidates.into_iter().flatten().map(ReceiptCandidate::new).collect(),
            shadow: decision.shadow,
            error: None,
        }
    }
}

impl ReceiptCandidate {
    fn new(scored: Scored) -> Self {
        let Scored { scheduler, candidate, matched_blocks } = scored;
        Self {
            scheduler,
            load: candidate.work_tokens as f64 / f64::from(candidate.batch_size_max),
            work_tokens: candidate.work_tokens,
            requests: candidate.requests,
            matched_blocks,
        }
    }
}

impl ReceiptEnd {
    /// The end of an answer that finished.
    pub(crate) const fn of_finish(reason: FinishReason) -> Self {
        match reason {
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
        }
    }

    /// The end of a request that an error has ended.
    pub(crate) const fn of_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Cancelled => Self::Cancelled,
            code => Self::Failed(code),
        }
    }

    /// The name in receipts: a finish reason or an error code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Embedded => "embedded",
            Self::Cancelled => "cancelled",
            Self::Failed(code) => code.as_str(),
        }
    }
}

impl Serialize for ReceiptEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
