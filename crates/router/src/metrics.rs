//! The router's metrics.

use hostler_protocol::{ErrorCode, ModelId, SchedulerId};
use hostler_telemetry::{Counter, Gauge, catalogue};

use crate::policy::{Policy, Reason};

/// Handles on what is counted for one scheduler.
pub(crate) struct SchedulerMetrics {
    pub(crate) routed: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) breaker: Gauge,
}

impl SchedulerMetrics {
    pub(crate) fn new(model: &ModelId, scheduler: &SchedulerId, policy: Policy) -> Self {
        let (model, scheduler) = (model.as_str(), scheduler.as_str());
        Self {
            routed: catalogue::ROUTED.counter(&[model, scheduler, policy.as_str()]),
            in_flight: catalogue::ROUTER_IN_FLIGHT.gauge(&[model, scheduler]),
            breaker: catalogue::ROUTER_BREAKER.gauge(&[model, scheduler]),
        }
    }
}

/// How the move of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migration {
    /// Another scheduler continues it.
    Moved,
    /// It was whole already, and was ended in the place of its scheduler.
    Completed,
    /// Nobody could take it.
    NobodyLeft,
    /// Its deadline passed meanwhile.
    DeadlinePassed,
    /// It was cancelled meanwhile.
    Cancelled,
}

impl Migration {
    /// The outcome of a search that ended with this code.
    pub(crate) const fn of_failure(code: ErrorCode) -> Self {
        match code {
            ErrorCode::DeadlineExceeded => Self::DeadlinePassed,
            ErrorCode::Cancelled => Self::Cancelled,
            _ => Self::NobodyLeft,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Completed => "completed",
            Self::NobodyLeft => "nobody_left",
            Self::DeadlinePassed => "deadline_passed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An answer whose scheduler failed came to this.
pub(crate) fn migrated(model: &ModelId, outcome: Migration) {
    catalogue::ROUTER_MIGRATIONS.counter(&[model.as_str(), outcome.as_str()]).increment(1);
}

/// A scheduler was chosen, for this reason.
pub(crate) fn decided(model: &ModelId, reason: Reason) {
    catalogue::ROUTER_DECISIONS.counter(&[model.as_str(), reason.as_str()]).increment(1);
}

/// A request goes to another scheduler, because one answered with `code`. The
/// model is known by then: a label's values never come from a client.
pub(crate) fn retried(model: &ModelId, code: ErrorCode) {
    catalogue::ROUTER_RETRIES.counter(&[model.as_str(), code.as_str()]).increment(1);
}

/// A request would have gone to another scheduler, but for the budget.
pub(crate) fn retry_denied(model: &ModelId) {
    catalogue::ROUTER_RETRIES_DENIED.counter(&[model.as_str()]).increment(1);
}

/// Nobody took a request. A model that is not served here is not named.
pub(crate) fn refused(model: &ModelId, code: ErrorCode) {
    let model = if code == ErrorCode::NotFound { "unknown" } else { model.as_str() };
    catalogue::ROUTER_REFUSED.counter(&[model, code.as_str()]).increment(1);
}
