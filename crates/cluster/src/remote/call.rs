//! Calls that are in flight at a worker. They end when the worker is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hostler_util::{CutOff, CutOffRegistry};

/// Why a call ends, or cannot start.
type Reason = Arc<str>;

/// The calls in flight at one worker.
#[derive(Debug)]
pub(super) struct Calls {
    registry: CutOffRegistry<u64, Arc<CutOff<Reason>>, Reason>,
    started: AtomicU64,
}

/// One call in flight. Dropping it removes it from [`Calls`].
#[derive(Debug)]
pub(super) struct CallGuard {
    calls: Arc<Calls>,
    number: u64,
    cut_off: Arc<CutOff<Reason>>,
}

impl Calls {
    /// No call can start until [`open`](Self::open).
    pub(super) fn closed(why: &str) -> Arc<Self> {
        let calls = Self { registry: CutOffRegistry::default(), started: AtomicU64::new(0) };
        calls.close(why);
        Arc::new(calls)
    }

    /// Starts a call.
    ///
    /// # Errors
    /// Why the worker cannot be called.
    pub(super) fn start(self: &Arc<Self>) -> Result<CallGuard, Reason> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let cut_off = Arc::<CutOff<Reason>>::default();
        self.registry.insert(number, Arc::clone(&cut_off))?;
        Ok(CallGuard { calls: Arc::clone(self), number, cut_off })
    }

    /// Allows calls.
    pub(super) fn open(&self) {
        self.registry.open();
    }

    /// Allows no new calls. Those in flight continue.
    pub(super) fn close(&self, why: &str) {
        self.registry.close(why.into());
    }

    /// Allows no new calls, and ends those in flight.
    pub(super) fn cut_off(&self, why: &str) {
        let why = Reason::from(why);
        for call in self.registry.close_and_drain(Arc::clone(&why)) {
            call.set(Arc::clone(&why));
        }
    }
}

impl CallGuard {
    /// Ready with the reason once the call is cut off.
    pub(super) fn poll_cut_off(&self, context: &mut Context<'_>) -> Poll<Reason> {
        self.cut_off.poll(context)
    }

    /// Waits until the call is cut off.
    pub(super) async fn cut_off(&self) -> Reason {
        self.cut_off.wait().await
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.calls.registry.remove(&self.number);
    }
}
