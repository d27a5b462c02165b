//! Ragged batching: sequences of any length share a step, as in llama.cpp or vLLM.

use std::collections::VecDeque;

use super::step::{Job, Key, Limits, Planner, Step};

pub(super) struct Ragged {
    limits: Limits,
    /// Maximum prompt tokens of one step; `None` processes one whole prompt in a step of
    /// its own.
    chunk_tokens: Option<u32>,
    waiting: VecDeque<Job>,
    /// In the order in which they were admitted.
    running: Vec<Running>,
    /// Tokens that the running sequences reserve in the KV cache.
    kv_tokens: u64,
}

struct Running {
    job: Job,
    /// Prompt tokens still to be processed.
    prefill_left: u32,
    stalled: bool,
}

impl Ragged {
    pub(super) fn new(limits: Limits, chunk_tokens: Option<u32>) -> Self {
        Self { limits, chunk_tokens, waiting: VecDeque::new(), running: Vec::new(), kv_tokens: 0 }
    }
}

impl Planner for Ragged {
    fn submit(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    fn remove(&mut self, key: Key) {
        self.waiting.retain(|job| job.key != key);
        if let Some(index) = self.running.iter().position(|running| running.job.key == key) {
            self.kv_tokens -= self.running.remove(index).job.kv_tokens();
        }
    }

    fn stall(&mut self, key: Key) {
        for running in &mut self.running {
            running.stalled |= running.job.key == key;
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        let begun = self.admit();
        let step = match self.chunk_tokens {
            Some(tokens) => self.mixed_step(tokens),
            None => self.prefill_step().unwrap_or_else(|| self.mixed_step(0)),
        };
        let is_idle = begun.is_empty() && step == Step::default() && !self.has_work();
        (!is_idle).then_some(Step { begun, ..step })
    }
}

impl Ragged {
    fn has_work(&self) -> bool {
        self.running.iter().any(|running| !running.stalled)
    }

    /// Admits what fits, first come, first served: smaller sequences do not overtake a
    /// large one.
    fn admit(&mut self) -> Vec<Key> {
        let mut begun = Vec::new();
        while let Some(job) = self.waiting.front() {
            let kv_tokens = self.kv_tokens + job.kv_tokens();
            if self.running.len() == self.limits.max_sequences || kv_tokens > self.limits.kv_capacity_tokens {
                break;
            }
            self.kv_tokens = kv_tokens;
            begun.push(job.key);
            let prefill_left = job.prompt_tokens - job.cached_tokens;
            self.running.push(Running { job: *job, prefill_left, stalled: false });
            self.waiting.pop_front();
        }
        begun
    }

    /// A step that gives every decoding sequence one token, and processes the next chunk
    /// of the prompts.
    fn mixed_step(&mut self, chunk_tokens: u32) -> Step {
        let mut budget = chunk_tokens;
        let mut decoding = 0;
        let mut produced = Vec::new();
        for running in self.running.iter_mut().filter(|running| !running.stalled) {
            if running.prefill_left == 0 {
                decoding += 1;
                produced.push(running.job.key);
                continue;
            }
            let processed = running.prefill_left.min(budget);
            budget -= processed;
            running.prefill_left -= processed;
            if running.prefill_left == 0 {
                produced.push(running.job.key);
            }
        }
        let cost = &self.limits.cost;
        let duration = cost.decode(decoding, false).saturating_add(cost.prefill(chunk_tokens - budget));
        Step { duration, begun: Vec::new(), produced }
    }

    /// A step that processes the oldest pending prompt only.
    fn prefill_step(&mut self) -> Option<Step> {
        let oldest = self.running.iter_mut().find(|running| running.prefill_left > 0 && !running.stalled)?;
        let duration = self.limits.cost.prefill(std::mem::take(&mut oldest.prefill_left));
        Some(Step { duration, begun: Vec::new(), produced: vec![oldest.job.key] })
    }
}
