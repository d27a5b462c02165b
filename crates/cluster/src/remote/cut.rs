//! Ends calls that would wait for a worker that is lost.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

/// What one call and the watcher share.
#[derive(Debug, Default)]
struct Cut {
    why: OnceLock<Arc<str>>,
    waker: AtomicWaker,
}

/// The calls that run at a worker, while it is there.
#[derive(Debug)]
pub(super) struct Calls(Mutex<Registry>);

#[derive(Debug)]
struct Registry {
    running: HashMap<u64, Arc<Cut>>,
    entered: u64,
    /// Why nobody may enter.
    closed: Option<Arc<str>>,
}

/// A call's place among [`Calls`]; dropping it leaves.
#[derive(Debug)]
pub(super) struct Entered {
    calls: Arc<Calls>,
    number: u64,
    cut: Arc<Cut>,
}

impl Calls {
    /// Nobody may enter yet.
    pub(super) fn new(why: &str) -> Arc<Self> {
        let registry = Registry { running: HashMap::new(), entered: 0, closed: Some(why.into()) };
        Arc::new(Self(Mutex::new(registry)))
    }

    /// Lets a call in.
    ///
    /// # Errors
    /// Why the worker cannot be called.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Entered, Arc<str>> {
        let mut registry = self.lock();
        if let Some(why) = &registry.closed {
            return Err(Arc::clone(why));
        }
        registry.entered += 1;
        let (number, cut) = (registry.entered, Arc::<Cut>::default());
        registry.running.insert(number, Arc::clone(&cut));
        Ok(Entered { calls: Arc::clone(self), number, cut })
    }

    /// Lets calls in again.
    pub(super) fn open(&self) {
        self.lock().closed = None;
    }

    /// Lets nobody in. Those that are in go on.
    pub(super) fn close(&self, why: &str) {
        self.lock().closed = Some(why.into());
    }

    /// Lets nobody in, and ends those that are in.
    pub(super) fn cut(&self, why: &str) {
        let why: Arc<str> = why.into();
        let running = {
            let mut registry = self.lock();
            registry.closed = Some(Arc::clone(&why));
            std::mem::take(&mut registry.running)
        };
        for cut in running.into_values() {
            // It is set once: a call is taken out as it is cut.
            let _ = cut.why.set(Arc::clone(&why));
            cut.waker.wake();
        }
    }

    /// A thread that panicked while it held the lock left a whole map behind:
    /// every change is a single call.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// Waits for the end from outside, and says why it came.
    pub(super) fn poll_cut(&self, context: &mut Context<'_>) -> Poll<Arc<str>> {
        if self.cut.why.get().is_none() {
            self.cut.waker.register(context.waker());
        }
        // Asked again after registering, so that a cut in between is not missed.
        self.cut.why.get().map_or(Poll::Pending, |why| Poll::Ready(Arc::clone(why)))
    }

    /// The same, as a future.
    pub(super) async fn cut(&self) -> Arc<str> {
        poll_fn(|context| self.poll_cut(context)).await
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.calls.lock().running.remove(&self.number);
    }
}
