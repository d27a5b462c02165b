//! When a free slot is filled, and with whom: by what the engine is good at.

use std::time::{Duration, Instant};

use hostler_protocol::{Batching, Driving, Prefill};

use super::Ticket;
use super::batch::Batch;
use super::cohort::Cohorts;
use super::queue::{Queue, Waiting};
use crate::config::BatchingConfig;

/// The way in which slots are filled. Whoever is next in the queue's order and
/// does not fit yet is waited for: if smaller ones went ahead, it could starve.
#[derive(Debug)]
pub(super) enum Refill {
    /// At once: the engine runs sequences of any length together, or one at a time.
    Continuous,
    /// At once, but a long prompt waits for a moment when its reading stalls nobody.
    SparingStalls(LongPrompts),
    /// After the drain, with sequences of like length.
    Cohorts(Cohorts),
}

impl Refill {
    /// The way for an engine that is driven so.
    #[must_use]
    pub(super) fn new(driving: Driving, config: &BatchingConfig) -> Self {
        match (driving.max_sequences, driving.batching, driving.prefill) {
            (0 | 1, _, _) | (_, Batching::Ragged, Prefill::Chunked { .. }) => Self::Continuous,
            (_, Batching::Ragged, Prefill::Blocking) => Self::SparingStalls(LongPrompts {
                from_tokens: config.long_prompt_tokens,
                wait: config.long_prompt_wait,
                wake: None,
                opened: None,
            }),
            (_, Batching::EqualLength, _) => Self::Cohorts(Cohorts::new(config)),
        }
    }

    /// Who starts now. Ask again until the answer is nobody.
    pub(super) fn pick(&mut self, now: Instant, queue: &Queue, batch: &Batch) -> Vec<Ticket> {
        match self {
            Self::Continuous => next_if_fits(queue, batch, |_| true),
            Self::SparingStalls(long) => {
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

    /// When to ask again, though nothing may have happened since the last answer.
    #[must_use]
    pub(super) fn wakes(&self) -> Option<Instant> {
        match self {
            Self::Continuous => None,
            Self::SparingStalls(long) => long.wake,
            Self::Cohorts(cohorts) => cohorts.wakes(),
        }
    }
}

/// Prompts whose reading stalls the others, on an engine with blocking prefill.
/// They start when nothing runs. Once one has waited for long enough, all of them
/// may start: one stall then serves them all, and hurts once.
#[derive(Debug)]
pub(super) struct LongPrompts {
    from_tokens: u32,
    wait: Duration,
    /// When the first of them will have waited for long enough.
    wake: Option<Instant>,
    /// When they were last let in: all that wait at that moment may start.
    opened: Option<Instant>,
}

impl LongPrompts {
    fn is_long(&self, waiting: &Waiting) -> bool {
        waiting.demand.prompt_tokens >= self.from_tokens
    }

    /// When the first of them has waited for long enough.
    fn first_due(&self, queue: &Queue) -> Option<Instant> {
        queue.iter().filter(|waiting| self.is_long(waiting)).map(|waiting| waiting.since + self.wait).min()
    }
}

/// The next in order, if there is room.
fn next_if_fits(queue: &Queue, batch: &Batch, eligible: impl Fn(&Waiting) -> bool) -> Vec<Ticket> {
    if batch.free_slots() == 0 {
        return Vec::new();
    }
    let next = queue.next(eligible).filter(|waiting| batch.fits(&waiting.demand));
    next.map(|waiting| waiting.demand.ticket).into_iter().collect()
}
