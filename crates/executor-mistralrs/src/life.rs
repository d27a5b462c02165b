//! What the engine tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hostler_executor::Progress;

use crate::Fault;

/// Read by everyone; written by the engine's threads and the dispatcher.
#[derive(Debug)]
pub(crate) struct Life {
    alive: AtomicBool,
    steps: AtomicU64,
    fault: Option<Fault>,
}

impl Life {
    pub(crate) fn begin(fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { alive: AtomicBool::new(true), steps: AtomicU64::new(0), fault })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { alive: self.is_alive(), steps: self.steps.load(Ordering::Relaxed) }
    }

    /// The engine has done a step of one sequence.
    pub(crate) fn step(&self) {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(Fault::PanicAfterSteps(after)) = self.fault {
            assert!(steps != after, "a panic on purpose, after {after} steps");
        }
    }

    pub(crate) fn end(&self) {
        self.alive.store(false, Ordering::Release);
    }
}

/// Ends the life when it is dropped, in a panic too.
pub(crate) struct EndOnDrop(pub(crate) Arc<Life>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}
