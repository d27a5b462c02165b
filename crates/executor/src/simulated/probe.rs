//! Counters and fault injection for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::FaultKind;

/// Observes and controls all engines that a factory loads. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct SimulatedProbe(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    loads: AtomicU64,
    sequences: AtomicU64,
    tokens: AtomicU64,
    wasted_steps: AtomicU64,
    /// The fault that the next step triggers: 0 for none, else its index in `KINDS` plus 1.
    injected: AtomicU8,
}

const KINDS: [FaultKind; 3] = [FaultKind::Fail, FaultKind::Panic, FaultKind::Hang];

impl SimulatedProbe {
    /// Engines loaded so far.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::Relaxed)
    }

    /// Sequences that the engines hold now, waiting or running.
    #[must_use]
    pub fn sequences(&self) -> u64 {
        self.0.sequences.load(Ordering::Relaxed)
    }

    /// Tokens generated so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    /// Decode steps that were computed for a cancelled sequence: at most one for each.
    #[must_use]
    pub fn wasted_steps(&self) -> u64 {
        self.0.wasted_steps.load(Ordering::Relaxed)
    }

    /// Triggers a fault in the next step of one engine.
    pub fn inject(&self, kind: FaultKind) {
        let index = KINDS.iter().position(|known| *known == kind).expect("every kind is listed");
        self.0.injected.store(index as u8 + 1, Ordering::Relaxed);
    }

    pub(super) fn take_injected(&self) -> Option<FaultKind> {
        let code = self.0.injected.swap(0, Ordering::Relaxed);
        code.checked_sub(1).map(|index| KINDS[usize::from(index)])
    }

    pub(super) fn loaded(&self) {
        self.0.loads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn generated(&self) {
        self.0.tokens.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wasted(&self) {
        self.0.wasted_steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a sequence until the guard is dropped.
    pub(super) fn hold(&self) -> Held {
        self.0.sequences.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }
}

/// Counts one sequence that an engine holds.
pub(super) struct Held(SimulatedProbe);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.sequences.fetch_sub(1, Ordering::Relaxed);
    }
}
