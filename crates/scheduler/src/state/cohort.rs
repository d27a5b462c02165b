//! Cohorts: sequences of similar length that start together, for engines that run only
//! sequences of equal length in one step.
//!
//! On such an engine a sequence that joins a running batch shares no step with it, so it
//! slows the others by at least as much as it gains. A cohort shares every step. Measured
//! on mistral.rs: 62 tokens/s when slots are refilled as they become free, 98 tokens/s in
//! cohorts sorted by length. So a free slot stays free until the cohort has drained, but
//! for at most `cohort_wait` while requests are queued. This also holds for lengths so
//! different that every cohort is a single sequence: on such an engine, one after the
//! other is faster than all at once (`examples/cohorts.rs`). With fewer requests than
//! half of the slots nothing is gained, and slots are refilled at once.
//!
//! Bound: the first request in the queue's order starts at most `cohort_wait` after a
//! slot and enough KV cache are free for it.

use std::time::{Duration, Instant};

use super::Ticket;
use super::batch::Batch;
use super::queue::{Queue, Waiting};
use hostler_config::BatchingConfig;

/// How long a cohort that is not full waits for more requests once the engine is idle.
/// Clients whose answers ended together send their next request a round trip later. Less
/// than a decode step of these engines (30 to 80 ms).
const GATHER_WAIT: Duration = Duration::from_millis(10);

/// Which sequences start together, and when.
#[derive(Debug)]
pub(super) struct Cohorts {
    spread_tokens: u32,
    drain_wait: Duration,
    /// The hold on the free slots, if there is one.
    hold: Option<Hold>,
}

/// Free slots are kept free until an instant.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: Instant,
    until: Instant,
    /// Whether the engine was idle when the hold began.
    engine_idle: bool,
}

impl Cohorts {
    /// Cohorts with the configured spread and wait.
    #[must_use]
    pub(super) fn new(config: &BatchingConfig) -> Self {
        Self { spread_tokens: config.cohort_spread_tokens, drain_wait: config.cohort_wait, hold: None }
    }

    /// The requests to start now. Call it until it returns none.
    pub(super) fn pick(&mut self, now: Instant, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        let Some(next) = queue.next(|_| true).filter(|next| batch.fits(&next.demand)) else {
            self.hold = None;
            return Vec::new();
        };
        let wait = self.wait(queue, batch);
        let same_hold = self.hold.filter(|hold| hold.engine_idle == batch.is_empty());
        let since = same_hold.map_or(now, |hold| hold.since);
        if now < since + wait {
            self.hold = Some(Hold { since, until: since + wait, engine_idle: batch.is_empty() });
            return Vec::new();
        }
        self.hold = None;
        self.cohort_of(next, queue, batch)
    }

    /// When the hold ends, if there is one.
    #[must_use]
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.hold.map(|hold| hold.until)
    }

    /// How long free slots are kept free.
    fn wait(&self, queue: &Queue, batch: &Batch) -> Duration {
        let (requests, slots) = (queue.len() + batch.len(), batch.slots() as usize);
        if batch.is_empty() {
            return if requests >= slots { Duration::ZERO } else { GATHER_WAIT.min(self.drain_wait) };
        }
        // With few requests the throughput is the same either way, and the first token
        // comes earlier without a wait.
        if requests * 2 < slots { Duration::ZERO } else { self.drain_wait }
    }

    fn is_similar(&self, next: &Waiting, prompt_tokens: u32) -> bool {
        next.demand.prompt_tokens.abs_diff(prompt_tokens) <= self.spread_tokens
    }

    /// The first request in order and those nearest to it in length, sorted by length, as
    /// many as fit. Among equally near ones: by class, then by age.
    fn cohort_of(&self, next: &Waiting, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        let target = next.demand.prompt_tokens;
        let mut near: Vec<&Waiting> =
            queue.iter().filter(|other| self.is_similar(next, other.demand.prompt_tokens)).collect();
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
