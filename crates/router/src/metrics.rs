//! The router's metrics.

use std::time::Duration;

use hostler_protocol::{ErrorCode, ModelId, Retry, SchedulerId};
use hostler_telemetry::{Counter, Gauge, Histogram, catalogue};

use crate::policy::{Policy, Reason};

/// What a request fails with that its client is not to blame for.
const FAILURES: [ErrorCode; 5] = [
    ErrorCode::Overloaded,
    ErrorCode::Internal,
    ErrorCode::EngineFailed,
    ErrorCode::Unavailable,
    ErrorCode::DeadlineExceeded,
];

/// Handles on what is counted for one scheduler.
pub(crate) struct SchedulerMetrics {
    pub(crate) routed: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) breaker: Gauge,
}

impl SchedulerMetrics {
    pub(crate) fn new(model: &ModelId, scheduler: &SchedulerId, policy: Policy) -> Self {
        let (model, scheduler) = (model.as_str(), scheduler.as_str());
        show_rare(model);
        Self {
            routed: catalogue::ROUTED.counter(&[model, scheduler, policy.as_str()]),
            in_flight: catalogue::ROUTER_IN_FLIGHT.gauge(&[model, scheduler]),
            breaker: catalogue::ROUTER_BREAKER.gauge(&[model, scheduler]),
        }
    }
}

/// Shows at 0 what rarely happens to a model. A counter that comes with its first event
/// never rises, to Prometheus: dashboards and alerts would miss that event.
fn show_rare(model: &str) {
    for outcome in Migration::ALL {
        let _ = catalogue::ROUTER_MIGRATIONS.counter(&[model, outcome.as_str()]);
    }
    for code in FAILURES {
        let _ = catalogue::ROUTER_REFUSED.counter(&[model, code.as_str()]);
        if code.retry() == Retry::Elsewhere {
            let _ = catalogue::ROUTER_RETRIES.counter(&[model, code.as_str()]);
        }
    }
    let _ = catalogue::ROUTER_RETRIES_DENIED.counter(&[model]);
}

/// Shows at 0 why claims are refused, for the same reason.
pub(crate) fn show_refused_claims() {
    for code in ErrorCode::ALL {
        let _ = catalogue::CLAIMS_REFUSED.counter(&[code.as_str()]);
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
    const ALL: [Self; 5] = [Self::Moved, Self::Completed, Self::NobodyLeft, Self::DeadlinePassed, Self::Cancelled];

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

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// Its holder gave it back.
    Released,
    /// It expired, or its engine failed.
    Lost,
}

impl ClaimOutcome {
    const ALL: [Self; 2] = [Self::Released, Self::Lost];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

/// A claim in the books, from its grant to its end.
pub(crate) struct ClaimMetrics {
    scheduler: SchedulerId,
    held: Gauge,
    drain_seconds: Histogram,
}

impl ClaimMetrics {
    /// A claim was granted.
    pub(crate) fn granted(model: &ModelId, scheduler: &SchedulerId) -> Self {
        let labels = &[model.as_str(), scheduler.as_str()];
        let held = catalogue::CLAIMS_HELD.gauge(labels);
        held.increment(1.0);
        for outcome in ClaimOutcome::ALL {
            let _ = catalogue::CLAIMS.counter(&[scheduler.as_str(), outcome.as_str()]);
        }
        Self { scheduler: scheduler.clone(), held, drain_seconds: catalogue::CLAIM_DRAIN_SECONDS.histogram(labels) }
    }

    /// The scheduler is its holder's.
    pub(crate) fn drained(&self, drain: Duration) {
        self.drain_seconds.record(drain.as_secs_f64());
    }

    /// It has ended.
    pub(crate) fn ended(self, outcome: ClaimOutcome) {
        self.held.decrement(1.0);
        catalogue::CLAIMS.counter(&[self.scheduler.as_str(), outcome.as_str()]).increment(1);
    }
}

/// Nobody was claimed. Which scheduler was meant, a client may have made up.
pub(crate) fn claim_refused(code: ErrorCode) {
    catalogue::CLAIMS_REFUSED.counter(&[code.as_str()]).increment(1);
}
