//! The engine: runs all sequences of one model, step by step, on one thread.
//!
//! A step ends the sequences that were asked to stop, admits waiting ones, feeds one token
//! of each decoding sequence and a bounded chunk of the pending prompts, and sends the
//! sampled tokens. No state is shared, so there are no locks.

mod forward;
mod plan;
mod slots;

use std::collections::VecDeque;

use hostler_executor::Sequence;
use hostler_executor_kit::sampling::Scratch;
use hostler_executor_kit::{Ending, Generation};
use hostler_protocol::{ErrorCode, RequestError, TokenId};

pub(crate) use self::forward::{FeedRow, Forward, LlamaForward};
pub(crate) use self::plan::ChunkBudget;
use self::plan::{Demand, plan_step};
pub(crate) use self::slots::ReusePolicy;
use self::slots::Slots;

/// A validated sequence and its generation.
pub(crate) struct Job {
    pub(crate) sequence: Sequence,
    pub(crate) generation: Generation,
}

/// All sequences of one model.
pub(crate) struct Engine<F> {
    forward: F,
    slots: Slots,
    budget: ChunkBudget,
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    /// Number of admissions so far.
    admissions: u64,
    scratch: Scratch,
}

/// A sequence that has a slot.
struct Running {
    job: Job,
    slot: usize,
    /// Its number among the admissions.
    admission: u64,
    /// Prompt and answer so far.
    tokens: Vec<TokenId>,
    /// How many of `tokens` are in the cache.
    fed: usize,
}

impl<F: Forward> Engine<F> {
    pub(crate) fn new(forward: F, slots: usize, policy: ReusePolicy, budget: ChunkBudget) -> Self {
        Self {
            forward,
            slots: Slots::new(slots, policy),
            budget,
            waiting: VecDeque::new(),
            running: Vec::new(),
            admissions: 0,
            scratch: Scratch::default(),
        }
    }

    /// Adds a sequence; it starts when a slot is free.
    pub(crate) fn submit(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Runs one step.
    ///
    /// # Errors
    /// The pass over the model failed. The state of the cache is then unknown: the engine
    /// must not continue, and [`fail_all`](Self::fail_all) must end its sequences.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.stop_cancelled();
        self.admit();
        let demands: Vec<Demand> = self.running.iter().map(Running::demand).collect();
        let rows = plan_step(&demands, self.budget);
        if rows.is_empty() {
            return Ok(());
        }
        let feeds: Vec<FeedRow<'_>> = rows.iter().map(|row| self.running[row.demand].feed(row.count)).collect();
        self.forward.feed(&feeds)?;
        let mut ended = Vec::new();
        for (row, planned) in rows.iter().enumerate() {
            let running = &mut self.running[planned.demand];
            self.slots.fed(running.slot, &running.tokens[running.fed..running.fed + planned.count]);
            running.fed += planned.count;
            if running.fed < running.tokens.len() {
                continue;
            }
            match running.job.generation.next(self.forward.logits(row), &mut self.scratch) {
                Ok(id) => running.tokens.push(id),
                Err(ending) => ended.push((planned.demand, ending)),
            }
        }
        // In descending order, so that the remaining indices stay valid.
        ended.sort_unstable_by_key(|&(index, _)| std::cmp::Reverse(index));
        for (index, ending) in ended {
            let running = self.running.swap_remove(index);
            self.slots.release(running.slot);
            running.job.generation.end(ending);
        }
        Ok(())
    }

    fn stop_cancelled(&mut self) {
        let slots = &mut self.slots;
        for ended in self.running.extract_if(.., |running| running.job.stop_requested().is_some()) {
            slots.release(ended.slot);
            ended.job.stop();
        }
        for job in std::mem::take(&mut self.waiting) {
            if job.stop_requested().is_some() {
                job.stop();
            } else {
                self.waiting.push_back(job);
            }
        }
    }

    fn admit(&mut self) {
        while self.slots.has_room()
            && let Some(mut job) = self.waiting.pop_front()
        {
            let tokens = job.sequence.tokens.to_vec();
            let placement = self.slots.place(&tokens, &job.sequence.cache_scope).expect("there is room");
            let slot = placement.slot;
            if let Some(source) = placement.copy_from {
                self.forward.copy(source, slot);
            }
            let mut fed = placement.keep;
            if !self.forward.truncate(slot, fed) {
                self.slots.cleared(slot);
                fed = 0;
            }
            job.generation.sink().started();
            // The last token of the prompt does not count as reused, even if the tokens of
            // a continued answer follow it.
            let reused = fed.min(job.sequence.prompt().len() - 1);
            job.generation.sink().reused(u32::try_from(reused).expect("the context length is a u32"));
            self.running.push(Running { job, slot, admission: self.admissions, tokens, fed });
            self.admissions += 1;
        }
    }

    /// Fails all sequences.
    pub(crate) fn fail_all(&mut self, reason: &str) {
        let message = format!("the engine failed: {reason}");
        let jobs = self.running.drain(..).map(|running| running.job).chain(self.waiting.drain(..));
        for job in jobs {
            job.generation.fail(RequestError::new(ErrorCode::EngineFailed, message.clone()));
        }
    }
}

impl Job {
    fn stop_requested(&self) -> Option<ErrorCode> {
        self.generation.stop_requested()
    }

    fn stop(self) {
        // A request to stop is never withdrawn, so there is a code.
        let code = self.stop_requested().unwrap_or(ErrorCode::Cancelled);
        self.generation.end(Ending::StopRequested(code));
    }
}

impl Running {
    fn demand(&self) -> Demand {
        Demand { slot: self.slot, pending: self.tokens.len() - self.fed, admission: self.admission }
    }

    fn feed(&self, count: usize) -> FeedRow<'_> {
        let end = self.fed + count;
        FeedRow {
            slot: self.slot,
            position: self.fed,
            tokens: &self.tokens[self.fed..end],
            wants_logits: end == self.tokens.len(),
        }
    }
}

#[cfg(test)]
mod exact;
#[cfg(test)]
mod tests;
