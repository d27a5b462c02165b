//! The router's metrics.

use hostler_protocol::{ErrorCode, ModelId, SchedulerId};
use hostler_telemetry::{Counter, Gauge, catalogue};

use crate::Policy;

/// Handles on what is counted for one scheduler.
pub(crate) struct SchedulerMetrics {
    pub(crate) routed: Counter,
    pub(crate) in_flight: Gauge,
}

impl SchedulerMetrics {
    pub(crate) fn new(model: &ModelId, scheduler: &SchedulerId, policy: Policy) -> Self {
        let (model, scheduler) = (model.as_str(), scheduler.as_str());
        Self {
            routed: catalogue::ROUTED.counter(&[model, scheduler, policy.as_str()]),
            in_flight: catalogue::ROUTER_IN_FLIGHT.gauge(&[model, scheduler]),
        }
    }
}

/// A request goes to another scheduler, because one answered with `code`. The
/// model is known by then: a label's values never come from a client.
pub(crate) fn retried(model: &ModelId, code: ErrorCode) {
    catalogue::ROUTER_RETRIES.counter(&[model.as_str(), code.as_str()]).increment(1);
}

/// Nobody took a request. A model that is not served here is not named.
pub(crate) fn refused(model: &ModelId, code: ErrorCode) {
    let model = if code == ErrorCode::NotFound { "unknown" } else { model.as_str() };
    catalogue::ROUTER_REFUSED.counter(&[model, code.as_str()]).increment(1);
}
