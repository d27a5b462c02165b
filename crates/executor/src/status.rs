//! The status that an engine's threads share with its executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The progress of an engine, from which a watchdog can tell a slow engine from a hung or
/// dead one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineProgress {
    /// Whether the engine can still run sequences. Once false, it stays false.
    pub alive: bool,
    /// Number of steps since it was loaded, prefill chunks and decode steps alike.
    pub steps: u64,
}

/// Written by the engine's threads, read by all others. A new engine is alive.
#[derive(Debug, Default)]
pub struct EngineStatus {
    dead: AtomicBool,
    steps: AtomicU64,
}

impl EngineStatus {
    /// The current progress.
    #[must_use]
    pub fn progress(&self) -> EngineProgress {
        EngineProgress { alive: self.is_alive(), steps: self.steps.load(Ordering::Relaxed) }
    }

    /// Whether the engine can still run sequences.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.dead.load(Ordering::Acquire)
    }

    /// Counts a step, and returns the number of steps before it.
    pub fn count_step(&self) -> u64 {
        self.steps.fetch_add(1, Ordering::Relaxed)
    }

    /// Marks the engine as dead.
    pub fn mark_dead(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// A guard that marks the engine as dead when it is dropped, even by a panic.
    #[must_use]
    pub fn dead_on_drop(self: &Arc<Self>) -> DeadOnDrop {
        DeadOnDrop(self.clone())
    }
}

/// Marks an engine as dead when it is dropped.
#[derive(Debug)]
pub struct DeadOnDrop(Arc<EngineStatus>);

impl Drop for DeadOnDrop {
    fn drop(&mut self) {
        self.0.mark_dead();
    }
}
