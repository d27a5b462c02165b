//! The engine: all sequences of one model, step by step, on one thread.
//!
//! A step asks every sequence whether it shall stop, admits those that wait,
//! feeds one token of each that decodes and a bounded chunk of the prompts that
//! are not yet read, and hands out the tokens chosen. Between steps nothing is
//! shared, so nothing is locked.

mod forward;
mod plan;
mod slots;

use std::collections::VecDeque;

use hostler_executor::text::{Answer, Verdict};
use hostler_executor::{Sequence, TokenSink};
use hostler_protocol::{ErrorCode, FinishReason, RequestError, Token, TokenId};

pub(crate) use self::forward::{FeedRow, Forward, LlamaForward};
pub(crate) use self::plan::ChunkBudget;
use self::plan::{Demand, plan_step};
pub(crate) use self::slots::ReusePolicy;
use self::slots::Slots;
use crate::sampling::{Choice, Chooser, Scratch};

/// A sequence that has been checked, with all that it needs.
pub(crate) struct Job {
    pub(crate) sequence: Sequence,
    pub(crate) sink: TokenSink,
    pub(crate) answer: Answer,
    pub(crate) chooser: Chooser,
}

/// All sequences of one model.
pub(crate) struct Engine<F> {
    forward: F,
    slots: Slots,
    budget: ChunkBudget,
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    /// Counts admissions: who came first.
    arrivals: u64,
    scratch: Scratch,
}

/// A sequence that has a slot.
struct Running {
    job: Job,
    slot: usize,
    arrival: u64,
    /// Prompt and answer so far.
    tokens: Vec<TokenId>,
    /// So many of them are in the cache.
    fed: usize,
}

/// How a sequence ends.
enum Ending {
    /// By itself; this text was held back and belongs to it.
    Stopped(String),
    /// Without an ending of its own: all that was held back belongs to it.
    CutOff(FinishReason),
    /// In an error.
    Failed(RequestError),
}

impl<F: Forward> Engine<F> {
    pub(crate) fn new(forward: F, slots: usize, policy: ReusePolicy, budget: ChunkBudget) -> Self {
        Self {
            forward,
            slots: Slots::new(slots, policy),
            budget,
            waiting: VecDeque::new(),
            running: Vec::new(),
            arrivals: 0,
            scratch: Scratch::default(),
        }
    }

    /// Takes one more sequence; it starts when a slot is free.
    pub(crate) fn submit(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// One step.
    ///
    /// # Errors
    /// The pass over the model failed. What the cache holds is unknown then: the
    /// engine must not go on, and its sequences must be [told](Self::fail_all).
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.stop_where_asked();
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
            if let Some(ending) = running.take_next(self.forward.logits(row), &mut self.scratch) {
                ended.push((planned.demand, ending));
            }
        }
        // From the back, so that the indices of those before stay true.
        ended.sort_unstable_by_key(|&(index, _)| std::cmp::Reverse(index));
        for (index, ending) in ended {
            let running = self.running.swap_remove(index);
            self.slots.release(running.slot);
            running.end(ending);
        }
        Ok(())
    }

    fn stop_where_asked(&mut self) {
        let slots = &mut self.slots;
        for ended in self.running.extract_if(.., |running| running.job.sink.stop_requested().is_some()) {
            slots.release(ended.slot);
            stop(ended.job.sink);
        }
        for job in std::mem::take(&mut self.waiting) {
            if job.sink.stop_requested().is_some() {
                stop(job.sink);
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
            let placement = self.slots.place(&tokens).expect("there is room");
            let slot = placement.slot;
            if let Some(source) = placement.copy_from {
                self.forward.copy(source, slot);
            }
            let mut fed = placement.keep;
            if !self.forward.truncate(slot, fed) {
                self.slots.emptied(slot);
                fed = 0;
            }
            job.sink.started();
            // As with a prompt that is read for the first time, its last token does
            // not count as reused, not even where an answer that is continued follows it.
            let reused = fed.min(job.sequence.prompt().len() - 1);
            job.sink.reused(u32::try_from(reused).expect("the context length is a u32"));
            self.running.push(Running { job, slot, arrival: self.arrivals, tokens, fed });
            self.arrivals += 1;
        }
    }

    /// Tells every sequence that the engine failed.
    pub(crate) fn fail_all(&mut self, reason: &str) {
        let message = format!("the engine failed: {reason}");
        let jobs = self.running.drain(..).map(|running| running.job).chain(self.waiting.drain(..));
        for job in jobs {
            job.sink.fail(RequestError::new(ErrorCode::EngineFailed, message.clone()));
        }
    }
}

fn stop(sink: TokenSink) {
    // Asked again, it gives the same reason: the first one stands.
    let code = sink.stop_requested().unwrap_or(ErrorCode::Cancelled);
    sink.stop(code);
}

impl Running {
    fn demand(&self) -> Demand {
        Demand { slot: self.slot, pending: self.tokens.len() - self.fed, arrival: self.arrival }
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

    /// Chooses the next token and hands it out; how the sequence ends, if it does.
    fn take_next(&mut self, logits: &[f32], scratch: &mut Scratch) -> Option<Ending> {
        let Job { sequence, sink, answer, chooser } = &mut self.job;
        let (id, logprob) = match chooser.choose(logits, answer, scratch) {
            Ok(Choice::Token { id, logprob }) => (id, logprob),
            Ok(Choice::Nothing) => return Some(Ending::CutOff(FinishReason::Stop)),
            Err(reason) => {
                let message = format!("the constraint cannot be followed any further: {reason}");
                return Some(Ending::Failed(RequestError::invalid("constraint", message)));
            }
        };
        let (text, stopped) = match answer.push(id) {
            Ok(Verdict::Show(text)) => (text, false),
            Ok(Verdict::StopSequence(text)) => (text, true),
            Ok(Verdict::EndOfSequence(text)) => return Some(Ending::Stopped(text)),
            Err(error) => return Some(Ending::Failed(RequestError::new(ErrorCode::EngineFailed, error.to_string()))),
        };
        sink.token(Token { id, text, logprob });
        self.tokens.push(id);
        if stopped {
            return Some(Ending::Stopped(String::new()));
        }
        (sink.generated() >= sequence.max_new_tokens).then_some(Ending::CutOff(FinishReason::Length))
    }

    fn end(self, ending: Ending) {
        let Job { sink, answer, .. } = self.job;
        match ending {
            Ending::Stopped(text) => sink.finish(FinishReason::Stop, text),
            Ending::CutOff(reason) => sink.finish(reason, answer.finish()),
            Ending::Failed(error) => sink.fail(error),
        }
    }
}

#[cfg(test)]
mod tests;
