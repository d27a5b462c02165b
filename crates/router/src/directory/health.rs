//! A scheduler's circuit breaker, shared by the decision that asks it and the requests
//! that report to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hostler_config::RouterConfig;
use hostler_protocol::RequestError;
use hostler_scheduler::SchedulerState;
use hostler_telemetry::Gauge;
use parking_lot::Mutex;

use crate::decision::breaker::{Breaker, BreakerState, is_own_failure};

/// The health of one scheduler. Clones share it.
#[derive(Clone)]
pub(crate) struct Health(Arc<Shared>);

struct Shared {
    breaker: Mutex<Breaker>,
    /// Whether the breaker was closed after the last event.
    is_closed: AtomicBool,
    gauge: Gauge,
}

impl Health {
    pub(crate) fn new(config: &RouterConfig, gauge: Gauge) -> Self {
        gauge.set(BreakerState::Closed.as_gauge());
        Self(Arc::new(Shared {
            breaker: Mutex::new(Breaker::new(config.breaker_failures, config.breaker_open)),
            is_closed: AtomicBool::new(true),
            gauge,
        }))
    }

    /// Whether the breaker is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// The state of the breaker, whether it lets a request through now, and the recent share
    /// of failures in thousandths.
    pub(crate) fn view(&self, now: Instant) -> (BreakerState, bool, u32) {
        let breaker = self.0.breaker.lock();
        (breaker.state(now), breaker.admits(now), breaker.failing())
    }

    /// A request was sent.
    pub(crate) fn dispatched(&self) {
        self.report(|breaker, now| breaker.dispatched(now));
    }

    /// A first token came.
    pub(crate) fn produced(&self) {
        self.report(|breaker, _| breaker.produced());
    }

    /// An answer finished.
    pub(crate) fn succeeded(&self) {
        self.report(|breaker, _| breaker.succeeded());
    }

    /// A request that was sent at `sent` failed with this error; the scheduler was last seen in
    /// this state.
    pub(crate) fn failed(&self, error: &RequestError, state: SchedulerState, sent: Instant) {
        if is_own_failure(error, state) {
            self.report(|breaker, now| breaker.failed(sent, now));
        }
    }

    fn report(&self, event: impl FnOnce(&mut Breaker, Instant)) {
        let now = Instant::now();
        let mut breaker = self.0.breaker.lock();
        event(&mut breaker, now);
        let state = breaker.state(now);
        self.0.is_closed.store(state == BreakerState::Closed, Ordering::Release);
        self.0.gauge.set(state.as_gauge());
    }
}
