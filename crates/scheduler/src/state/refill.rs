//! Refill: which requests fill the free slots, and when. It depends on how the engine
//! batches and prefills.

use std::time::{Duration, Instant};

use hostler_protocol::{Batching, Driving, Prefill};

use super::Ticket;
use super::batch::Batch;
use super::cohort::Cohorts;
use super::queue::{Queue, Waiting};
use hostler_config::BatchingConfig;

/// A refill strategy. If the next request in the queue's order does not fit yet, the slot
/// stays free: if smaller requests overtook it, it could starve.
#[derive(Debug)]
pub(super) enum Refill {
    /// At once: the engine runs sequences of any length together, or one at a time.
    Continuous,
    /// At once, but long prompts wait until their prefill stalls no other sequence.
    LimitPrefillStalls(LongPrompts),
    /// When the batch has drained, with sequences of similar length.
    Cohorts(Cohorts),
}

impl Refill {
    /// The strategy for an engine.
    #[must_use]
    pub(super) fn new(driving: Driving, config: &BatchingConfig) -> Self {
        match (driving.max_sequences, driving.batching, driving.prefill) {
            (0 | 1, _, _) | (_, Batching::Ragged, Prefill::Chunked { .. }) => Self::Continuous,
            (_, Batching::Ragged, Prefill::Blocking) => Self::LimitPrefillStalls(LongPrompts {
                from_tokens: config.long_prompt_tokens,
                wait: config.long_prompt_wait,
                wake: None,
                opened: None,
            }),
            (_, Batching::EqualLength, _) => Self::Cohorts(Cohorts::new(config)),
        }
    }

    /// The requests to start now. Call it until it returns none.
    pub(super) fn pick(&mut self, now: Instant, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        match self {
            Self::Continuous => next_if_fits(queue, batch, |_| true),
            Self::LimitPrefillStalls(long) => {
                let first_due = long.first_due(queue);
                long.wake = first_due.filter(|&due| due > now);
                let opens = batch.is_empty() || first_due.is_some_and(|due| due <= now);
                long.opened = if opens { Some(now) } else { long.opened };
                let may_start = long.opened == Some(now);
                next_if_fits(queue, batch, |waiting| may_start || !long.is_long(waiting))
            }
            Self::Cohorts(cohorts) => cohorts.pick(now, queue, batch),
        }
    }

    /// When to call [`pick`](Self::pick) again, even without another event.
    #[must_use]
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match self {
            Self::Continuous => None,
            Self::LimitPrefillStalls(long) => long.wake,
            Self::Cohorts(cohorts) => cohorts.next_wake(),
        }
    }
}

/// Prompts whose prefill stalls the other sequences, on an engine with blocking prefill.
/// They start when nothing runs. Once one has waited for the configured time, all of them
/// may start, so that they share one stall.
#[derive(Debug)]
pub(super) struct LongPrompts {
    from_tokens: u32,
    wait: Duration,
    /// When the first of them will have waited for the configured time.
    wake: Option<Instant>,
    /// When they were last allowed to start: all that were queued at that instant may.
    opened: Option<Instant>,
}

impl LongPrompts {
    fn is_long(&self, waiting: &Waiting) -> bool {
        waiting.demand.prompt_tokens >= self.from_tokens
    }

    /// When the first of them has waited for the configured time.
    fn first_due(&self, queue: &Queue) -> Option<Instant> {
        queue.iter().filter(|waiting| self.is_long(waiting)).map(|waiting| waiting.since + self.wait).min()
    }
}

/// The next eligible request in order, if it fits.
fn next_if_fits(queue: &Queue, batch: &Batch, eligible: impl Fn(&Waiting) -> bool) -> Vec<Ticket> {
    if batch.free_slots() == 0 {
        return Vec::new();
    }
    let next = queue.next(eligible).filter(|waiting| batch.fits(&waiting.demand));
    next.map(|waiting| waiting.demand.ticket).into_iter().collect()
}
