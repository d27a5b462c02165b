//! The record of a benchmark, from its order to its result.

use std::fmt;

use hostler_loadgen::result::BenchmarkResult;
use hostler_protocol::{ErrorCode, FencingToken, RequestError, RequestId, SchedulerId};
use serde::{Deserialize, Serialize};

use super::order::Order;

/// Version of the record format. A store skips records of other versions.
pub(super) const FORMAT: u32 = 1;

/// The id of a benchmark: `bench-` and 32 hexadecimal digits that sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BenchmarkId(String);

impl BenchmarkId {
    /// A new id.
    pub(super) fn generate() -> Self {
        Self(format!("bench-{}", RequestId::new()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BenchmarkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for BenchmarkId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

/// The state of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// It is in the queue.
    Queued,
    /// It waits for its scheduler to be claimed and drained.
    Draining,
    /// It is measuring.
    Running,
    /// It has a result.
    Done,
    /// It failed; `error` has the cause.
    Failed,
    /// It was cancelled, or the client that waited for it disconnected.
    Cancelled,
    /// Its claim yielded, because other schedulers of the model failed; `error` says so. It may
    /// be started again.
    Interrupted,
}

impl Status {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the benchmark has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled | Self::Interrupted)
    }
}

/// Why a benchmark has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarkError {
    /// The error code.
    pub code: ErrorCode,
    /// The error message.
    pub message: String,
    /// The invalid field of the order, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl From<RequestError> for BenchmarkError {
    fn from(error: RequestError) -> Self {
        Self { code: error.code, message: error.message, param: error.param.map(Into::into) }
    }
}

impl From<BenchmarkError> for RequestError {
    fn from(error: BenchmarkError) -> Self {
        Self { param: error.param.map(Into::into), ..Self::new(error.code, error.message) }
    }
}

/// The claim that a benchmark held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldClaim {
    /// The claimed scheduler.
    pub scheduler: SchedulerId,
    /// The claim's fencing token.
    pub token: FencingToken,
    /// How long the scheduler took to drain.
    pub drain_seconds: f64,
}

/// The record of a benchmark. Times are in seconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRecord {
    /// Version of the record format.
    pub format: u32,
    /// The benchmark's id.
    pub id: BenchmarkId,
    /// The state.
    pub status: Status,
    /// The order.
    pub order: Order,
    /// When the order was accepted.
    pub ordered_unix_seconds: u64,
    /// When it left the queue.
    pub started_unix_seconds: Option<u64>,
    /// When it ended.
    pub ended_unix_seconds: Option<u64>,
    /// Why a benchmark has no result.
    pub error: Option<BenchmarkError>,
    /// The claim that it held.
    pub claim: Option<HeldClaim>,
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BenchmarkResult>,
}

impl BenchmarkRecord {
    /// The record of a new order.
    pub(super) fn new(id: BenchmarkId, order: Order, now: u64) -> Self {
        Self {
            format: FORMAT,
            id,
            status: Status::Queued,
            order,
            ordered_unix_seconds: now,
            started_unix_seconds: None,
            ended_unix_seconds: None,
            error: None,
            claim: None,
            result: None,
        }
    }

    /// A copy without the result, for lists.
    #[must_use]
    pub fn summary(&self) -> Self {
        Self {
            format: self.format,
            id: self.id.clone(),
            status: self.status,
            order: self.order.clone(),
            ordered_unix_seconds: self.ordered_unix_seconds,
            started_unix_seconds: self.started_unix_seconds,
            ended_unix_seconds: self.ended_unix_seconds,
            error: self.error.clone(),
            claim: self.claim.clone(),
            result: None,
        }
    }
}
