//! The router's metrics.

use std::time::Duration;

use hostler_config::RouterConfig;
use hostler_protocol::{ErrorCode, ModelId, Retry, SchedulerId};
use hostler_telemetry::{Counter, Gauge, Histogram, catalogue};

use crate::policy::Reason;

/// The codes of failures that are not the client's fault.
const FAILURES: [ErrorCode; 5] = [
    ErrorCode::Overloaded,
    ErrorCode::Internal,
    ErrorCode::EngineFailed,
    ErrorCode::Unavailable,
    ErrorCode::DeadlineExceeded,
];

/// The metrics of one scheduler.
pub(crate) struct SchedulerMetrics {
    pub(crate) routed: Counter,
    /// Requests that the shadow policy would have sent to it.
    pub(crate) shadowed: Option<Counter>,
    pub(crate) in_flight: Gauge,
    pub(crate) breaker: Gauge,
}

impl SchedulerMetrics {
    pub(crate) fn new(model: &ModelId, scheduler: &SchedulerId, config: &RouterConfig) -> Self {
        let (model, scheduler) = (model.as_str(), scheduler.as_str());
        show_rare(model);
        Self {
            routed: catalogue::ROUTED.counter(&[model, scheduler, config.policy.as_str()]),
            shadowed: config
                .shadow_policy
                .map(|policy| catalogue::ROUTER_SHADOW.counter(&[model, scheduler, policy.as_str()])),
            in_flight: catalogue::ROUTER_IN_FLIGHT.gauge(&[model, scheduler]),
            breaker: catalogue::ROUTER_BREAKER.gauge(&[model, scheduler]),
        }
    }
}

/// Exports the rare counters of a model as 0. Prometheus sees no increase in a counter that
/// appears with its first event, so dashboards and alerts would miss that event.
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

/// Exports the counters of refused claims as 0, for the same reason.
pub(crate) fn show_refused_claims() {
    for code in ErrorCode::ALL {
        let _ = catalogue::CLAIMS_REFUSED.counter(&[code.as_str()]);
    }
}

/// The outcome of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migration {
    /// Another scheduler resumes the answer.
    Moved,
    /// The answer was complete already, and the router ended it.
    Completed,
    /// No other scheduler could resume it.
    NoneLeft,
    /// Its deadline passed during the search.
    DeadlinePassed,
    /// It was cancelled during the search.
    Cancelled,
}

impl Migration {
    const ALL: [Self; 5] = [Self::Moved, Self::Completed, Self::NoneLeft, Self::DeadlinePassed, Self::Cancelled];

    /// The outcome of a search that ended with this code.
    pub(crate) const fn of_failure(code: ErrorCode) -> Self {
        match code {
            ErrorCode::DeadlineExceeded => Self::DeadlinePassed,
            ErrorCode::Cancelled => Self::Cancelled,
            _ => Self::NoneLeft,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Completed => "completed",
            Self::NoneLeft => "nobody_left",
            Self::DeadlinePassed => "deadline_passed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A migration ended.
pub(crate) fn migrated(model: &ModelId, outcome: Migration) {
    catalogue::ROUTER_MIGRATIONS.counter(&[model.as_str(), outcome.as_str()]).increment(1);
}

/// The decisions for one model.
pub(crate) struct DecisionMetrics {
    by_reason: [Counter; Reason::ALL.len()],
    /// Decisions of the shadow policy, if there is one: the same ones, and different ones.
    shadow: Option<(Counter, Counter)>,
}

impl DecisionMetrics {
    pub(crate) fn new(model: &ModelId, config: &RouterConfig) -> Self {
        let model = model.as_str();
        let by_reason = Reason::ALL.map(|reason| catalogue::ROUTER_DECISIONS.counter(&[model, reason.as_str()]));
        let outcome = |outcome| catalogue::ROUTER_SHADOW_DECISIONS.counter(&[model, outcome]);
        let shadow = config.shadow_policy.map(|_| (outcome("same"), outcome("different")));
        Self { by_reason, shadow }
    }

    /// The shadow policy has chosen, too.
    pub(crate) fn shadowed(&self, is_same: bool) {
        if let Some((same, different)) = &self.shadow {
            if is_same { same } else { different }.increment(1);
        }
    }

    /// A scheduler was chosen for this reason.
    pub(crate) fn decided(&self, reason: Reason) {
        self.by_reason[reason as usize].increment(1);
    }
}

/// A request is offered to another scheduler because one answered with `code`. The model
/// is known by then: label values never come from a client.
pub(crate) fn retried(model: &ModelId, code: ErrorCode) {
    catalogue::ROUTER_RETRIES.counter(&[model.as_str(), code.as_str()]).increment(1);
}

/// A retry was denied because the budget is spent.
pub(crate) fn retry_denied(model: &ModelId) {
    catalogue::ROUTER_RETRIES_DENIED.counter(&[model.as_str()]).increment(1);
}

/// No scheduler took a request. An unknown model is not used as a label.
pub(crate) fn refused(model: &ModelId, code: ErrorCode) {
    let model = if code == ErrorCode::NotFound { "unknown" } else { model.as_str() };
    catalogue::ROUTER_REFUSED.counter(&[model, code.as_str()]).increment(1);
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// Its holder released it.
    Released,
    /// It expired, or its engine failed.
    Lost,
    /// The model needed its scheduler.
    Yielded,
}

impl ClaimOutcome {
    const ALL: [Self; 3] = [Self::Released, Self::Lost, Self::Yielded];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Lost => "lost",
            Self::Yielded => "yielded",
        }
    }
}

/// The metrics of one claim, from its grant to its end.
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

    /// The holder has the scheduler.
    pub(crate) fn drained(&self, drain: Duration) {
        self.drain_seconds.record(drain.as_secs_f64());
    }

    /// The claim ended.
    pub(crate) fn ended(self, outcome: ClaimOutcome) {
        self.held.decrement(1.0);
        catalogue::CLAIMS.counter(&[self.scheduler.as_str(), outcome.as_str()]).increment(1);
    }
}

/// A claim was refused. The selected scheduler is not a label, because it comes from a
/// client.
pub(crate) fn claim_refused(code: ErrorCode) {
    catalogue::CLAIMS_REFUSED.counter(&[code.as_str()]).increment(1);
}
