//! Sequences of any length share a step, as in llama.cpp or vLLM.

use std::collections::VecDeque;

use super::{Job, Key, Limits, Step};

pub(in crate::simulated) struct Ragged {
    limits: Limits,
    /// Most prompt tokens of one step; `None` reads one whole prompt in a step of its own.
    chunk_tokens: Option<u32>,
    waiting: VecDeque<Job>,
    /// In the order in which they began.
    running: Vec<Running>,
    /// Reserved in the KV cache by those that run.
    kv_tokens: u64,
}

struct Running {
    job: Job,
    /// Prompt tokens that are not read yet.
    unread: u32,
    stalled: bool,
}

impl Ragged {
    pub(super) fn new(limits: Limits, chunk_tokens: Option<u32>) -> Self {
        Self { limits, chunk_tokens, waiting: VecDeque::new(), running: Vec::new(), kv_tokens: 0 }
    }

    pub(super) fn submit(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.waiting.retain(|job| job.key != key);
        if let Some(index) = self.running.iter().position(|running| running.job.key == key) {
            self.kv_tokens -= self.running.remove(index).job.kv_tokens();
        }
    }

    pub(super) fn stall(&mut self, key: Key) {
        for running in &mut self.running {
            running.stalled |= running.job.key == key;
        }
    }

    pub(super) fn next_step(&mut self) -> Option<Step> {
        let begun = self.admit();
        let step = match self.chunk_tokens {
            Some(tokens) => self.mixed_step(tokens),
            None => self.prefill_step().unwrap_or_else(|| self.mixed_step(0)),
        };
        let is_idle = begun.is_empty() && step == Step::default() && !self.has_work();
        (!is_idle).then_some(Step { begun, ..step })
    }

    fn has_work(&self) -> bool {
        self.running.iter().any(|running| !running.stalled)
    }

    /// Begins what there is room for, first come first served: a large sequence
    /// is not overtaken by smaller ones.
    fn admit(&mut self) -> Vec<Key> {
        let mut begun = Vec::new();
        while let Some(job) = self.waiting.front() {
            let kv_tokens = self.kv_tokens + job.kv_tokens();
            if self.running.len() == self.limits.max_sequences || kv_tokens > self.limits.kv_capacity_tokens {
                break;
            }
            self.kv_tokens = kv_tokens;
            begun.push(job.key);
            self.running.push(Running { job: *job, unread: job.prompt_tokens - job.cached_tokens, stalled: false });
            self.waiting.pop_front();
        }
        begun
    }

    /// One token for all that decode, and beside them a piece of the prompts.
    fn mixed_step(&mut self, chunk_tokens: u32) -> Step {
        let mut budget = chunk_tokens;
        let mut decoding = 0;
        let mut produced = Vec::new();
        for running in self.running.iter_mut().filter(|running| !running.stalled) {
            if running.unread == 0 {
                decoding += 1;
                produced.push(running.job.key);
                continue;
            }
            let read = running.unread.min(budget);
            budget -= read;
            running.unread -= read;
            if running.unread == 0 {
                produced.push(running.job.key);
            }
        }
        let cost = &self.limits.cost;
        let duration = cost.decode(decoding, false).saturating_add(cost.prefill(chunk_tokens - budget));
        Step { duration, begun: Vec::new(), produced }
    }

    /// The oldest prompt that is not read yet, whole and alone.
    fn prefill_step(&mut self) -> Option<Step> {
        let reading = self.running.iter_mut().find(|running| running.unread > 0 && !running.stalled)?;
        let duration = self.limits.cost.prefill(std::mem::take(&mut reading.unread));
        Some(Step { duration, begun: Vec::new(), produced: vec![reading.job.key] })
    }
}
