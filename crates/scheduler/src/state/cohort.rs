//! Cohorts: sequences of like length that start together, for engines that run
//! only sequences of equal length in one step.
//!
//! On such an engine a sequence that joins a running batch shares no step with
//! it, so it costs the others as much as it gains, and more: what was passed over
//! is read again. A cohort shares every step. Measured on mistral.rs
//! (`engine-facts.md`): 62 tokens/s with slots refilled as they fall free, 98 in
//! cohorts sorted by length. So a free slot stays free until the cohort has
//! drained, but at most `cohort_wait` while somebody waits. That holds for lengths
//! so unlike that every cohort is a single sequence, too: on such an engine one
//! after the other is faster than all at once (`examples/cohorts.rs`). With fewer
//! requests than half of the slots nothing is gained, and slots are refilled at once.
//!
//! Bound: whoever is next in the queue's order starts at most `cohort_wait` after
//! a slot and enough of the KV cache are free for them.

use std::time::{Duration, Instant};

use super::Ticket;
use super::batch::Batch;
use super::queue::{Queue, Waiting};
use crate::config::BatchingConfig;

/// How long a cohort that is not full waits for more, once the engine is free.
/// Clients whose answers ended together come back a round trip later; less than
/// a decode step of the engines in question (30 to 80 ms).
const GATHER: Duration = Duration::from_millis(10);

/// Which sequences start together, and when.
#[derive(Debug)]
pub(super) struct Cohorts {
    spread_tokens: u32,
    drain_wait: Duration,
    /// Until when the free slot is kept free, and whether the engine was empty
    /// when that was decided.
    hold: Option<Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    since: Instant,
    until: Instant,
    engine_empty: bool,
}

impl Cohorts {
    /// By the configured spread and wait.
    #[must_use]
    pub(super) fn new(config: &BatchingConfig) -> Self {
        Self { spread_tokens: config.cohort_spread_tokens, drain_wait: config.cohort_wait, hold: None }
    }

    /// Who starts now; ask again until the answer is nobody.
    pub(super) fn pick(&mut self, now: Instant, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        let Some(next) = queue.next(|_| true).filter(|next| batch.fits(&next.demand)) else {
            self.hold = None;
            return Vec::new();
        };
        let wait = self.wait(queue, batch);
        let same_hold = self.hold.filter(|hold| hold.engine_empty == batch.is_empty());
        let since = same_hold.map_or(now, |hold| hold.since);
        if now < since + wait {
            self.hold = Some(Hold { since, until: since + wait, engine_empty: batch.is_empty() });
            return Vec::new();
        }
        self.hold = None;
        self.cohort_of(next, queue, batch)
    }

    /// When the hold ends, if there is one.
    #[must_use]
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.hold.map(|hold| hold.until)
    }

    /// How long a free slot is kept free.
    fn wait(&self, queue: &Queue, batch: &Batch) -> Duration {
        let (here, slots) = (queue.len() + batch.len(), batch.slots() as usize);
        if batch.is_empty() {
            return if here >= slots { Duration::ZERO } else { GATHER.min(self.drain_wait) };
        }
        // With few requests tokens/s are the same either way, and the first comes earlier.
        if here * 2 < slots { Duration::ZERO } else { self.drain_wait }
    }

    fn is_like(&self, next: &Waiting, prompt_tokens: u32) -> bool {
        next.demand.prompt_tokens.abs_diff(prompt_tokens) <= self.spread_tokens
    }

    /// The next in order and those nearest to it in length, by length; as many as
    /// there is room for. Among equally near ones the more urgent, then the older.
    fn cohort_of(&self, next: &Waiting, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        let target = next.demand.prompt_tokens;
        let mut near: Vec<&Waiting> =
            queue.iter().filter(|other| self.is_like(next, other.demand.prompt_tokens)).collect();
        near.sort_by_key(|other| {
            let demand = &other.demand;
            (demand.ticket != next.demand.ticket, demand.prompt_tokens.abs_diff(target), demand.class, demand.ticket)
        });
        let mut room = batch.kv_capacity_tokens() - batch.reserved_tokens();
        let (mut shortest, mut longest) = (target, target);
        let mut cohort = Vec::new();
        for demand in near.into_iter().map(|waiting| &waiting.demand) {
            let (low, high) = (shortest.min(demand.prompt_tokens), longest.max(demand.prompt_tokens));
            let fits = demand.reserved_tokens() <= room && high - low <= self.spread_tokens;
            if cohort.len() == batch.free_slots() || !fits {
                continue;
            }
            (shortest, longest) = (low, high);
            room -= demand.reserved_tokens();
            cohort.push((demand.prompt_tokens, demand.ticket));
        }
        cohort.sort_unstable();
        cohort.into_iter().map(|(_, ticket)| ticket).collect()
    }
}
