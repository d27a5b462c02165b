//! What is kept of a benchmark, from its order to its result.

use std::fmt;

use hostler_protocol::{ErrorCode, FencingToken, RequestError, RequestId, SchedulerId};
use serde::{Deserialize, Serialize};

use super::Order;
use crate::result::BenchmarkResult;

/// The version of the format of records. A store passes over every other.
pub(super) const FORMAT: u32 = 1;

/// Names a benchmark: `bench-` and 32 hexadecimal digits, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BenchmarkId(String);

impl BenchmarkId {
    /// A fresh one.
    pub(super) fn fresh() -> Self {
        Self(format!("bench-{}", RequestId::new()))
    }

    /// As it is written.
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

/// How far a benchmark has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its turn.
    Queued,
    /// It has asked for its scheduler, which finishes what it has.
    Draining,
    /// It measures.
    Running,
    /// There is a result.
    Done,
    /// There is none, and `error` says why.
    Failed,
    /// Somebody cancelled it, or the client that waited for it left.
    Cancelled,
}

impl Status {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Draining => "draining",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNot {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// In words.
    pub message: String,
    /// Which member of the order is to blame, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

impl From<RequestError> for WhyNot {
    fn from(error: RequestError) -> Self {
        Self { code: error.code, message: error.message, param: error.param.map(Into::into) }
    }
}

impl From<WhyNot> for RequestError {
    fn from(why: WhyNot) -> Self {
        Self { param: why.param.map(Into::into), ..Self::new(why.code, why.message) }
    }
}

/// The claim that a benchmark had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// On which scheduler.
    pub scheduler: SchedulerId,
    /// Its number.
    pub token: FencingToken,
    /// How long the scheduler took to finish what it had.
    pub drain_seconds: f64,
}

/// What is kept of a benchmark. Times are in seconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRecord {
    /// The format of this record.
    pub format: u32,
    /// Its name.
    pub id: BenchmarkId,
    /// How far it has come.
    pub status: Status,
    /// What was ordered.
    pub order: Order,
    /// When it was ordered.
    pub ordered_unix_seconds: u64,
    /// When its turn came.
    pub started_unix_seconds: Option<u64>,
    /// When it ended.
    pub ended_unix_seconds: Option<u64>,
    /// Why there is no result.
    pub error: Option<WhyNot>,
    /// The claim that it had.
    pub claim: Option<Claimed>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BenchmarkResult>,
}

impl BenchmarkRecord {
    /// An order that has just come.
    pub(super) fn ordered(id: BenchmarkId, order: Order, now: u64) -> Self {
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

    /// The same without its result, as lists show it.
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
