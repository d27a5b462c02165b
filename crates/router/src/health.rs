//! How a scheduler has done lately: its breaker, shared by the router that asks it and
//! the requests that tell it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hostler_protocol::RequestError;
use hostler_scheduler::SchedulerState;
use hostler_telemetry::Gauge;

use crate::breaker::{Breaker, BreakerConfig, BreakerState, is_own_failure};

/// The health of one scheduler. Clones are of the same.
#[derive(Clone)]
pub(crate) struct Health(Arc<Shared>);

struct Shared {
    breaker: Mutex<Breaker>,
    gauge: Gauge,
}

impl Health {
    pub(crate) fn new(config: BreakerConfig, gauge: Gauge) -> Self {
        gauge.set(BreakerState::Closed.as_gauge());
        Self(Arc::new(Shared { breaker: Mutex::new(Breaker::new(config)), gauge }))
    }

    /// Whether a request may be sent there.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        self.lock().admits(now)
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        self.lock().state(now)
    }

    /// A request is on its way.
    pub(crate) fn dispatched(&self) {
        self.tell(|breaker, now| breaker.dispatched(now));
    }

    /// A first token came.
    pub(crate) fn produced(&self) {
        self.tell(|breaker, _| breaker.produced());
    }

    /// An answer was finished.
    pub(crate) fn succeeded(&self) {
        self.tell(|breaker, _| breaker.succeeded());
    }

    /// A request ended with this error; the scheduler was last seen in this state.
    pub(crate) fn ended(&self, error: &RequestError, state: SchedulerState) {
        if is_own_failure(error, state) {
            self.tell(|breaker, now| breaker.failed(now));
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Breaker, Instant)) {
        let now = Instant::now();
        let mut breaker = self.lock();
        what(&mut breaker, now);
        self.0.gauge.set(breaker.state(now).as_gauge());
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        // It is changed by assignments alone, so a panic leaves it whole.
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
