//! Equal-length batching: only sequences of equal length share a step, by the rules of
//! mistral.rs 0.8.1.
//!
//! Each step runs the sequences of one length; all others are preempted and wait.
//! - If no sequence is running, all waiting ones are admitted and the shortest run, with
//!   a prefill of their whole text (again, if they were preempted).
//! - If sequences are running and others wait, those that fit are admitted, and the
//!   length with the largest sum of urgency + log2(length) runs; the urgency of the
//!   others grows by one.
//! - If sequences are running and none waits, the shortest run.

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Job, Key, Limits, Planner, Step};

pub(super) struct EqualLength {
    limits: Limits,
    running: Vec<Entry>,
    waiting: Vec<Entry>,
    /// They keep their slots, but take no steps.
    stalled: Vec<Entry>,
}

struct Entry {
    job: Job,
    generated: u32,
    /// Steps of other sequences since its own last one.
    urgency: u32,
    has_begun: bool,
    /// It needs a prefill before it can decode.
    needs_prefill: bool,
}

/// Length, and how many of the tokens came from the prefix cache.
type Bucket = (u32, u32);

impl Entry {
    fn length(&self) -> u32 {
        self.job.prompt_tokens + self.generated
    }

    fn bucket(&self) -> Bucket {
        (self.length(), self.job.cached_tokens)
    }
}

impl EqualLength {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, running: Vec::new(), waiting: Vec::new(), stalled: Vec::new() }
    }
}

impl Planner for EqualLength {
    fn submit(&mut self, job: Job) {
        self.waiting.push(Entry { job, generated: 0, urgency: 0, has_begun: false, needs_prefill: true });
    }

    fn remove(&mut self, key: Key) {
        for entries in [&mut self.running, &mut self.waiting, &mut self.stalled] {
            entries.retain(|entry| entry.job.key != key);
        }
    }

    fn stall(&mut self, key: Key) {
        for entries in [&mut self.running, &mut self.waiting] {
            self.stalled.extend(entries.extract_if(.., |entry| entry.job.key == key));
        }
    }

    fn next_step(&mut self) -> Option<Step> {
        let chosen = self.choose()?;
        let mut preempted = Vec::new();
        for mut entry in std::mem::take(&mut self.running) {
            if entry.bucket() == chosen {
                entry.urgency = 0;
                self.running.push(entry);
            } else {
                entry.urgency += 1;
                preempted.push(entry);
            }
        }
        self.waiting.extend(preempted);
        Some(self.run())
    }
}

impl EqualLength {
    /// Admits waiting sequences, and chooses the bucket that runs.
    fn choose(&mut self) -> Option<Bucket> {
        let by_length = if self.running.is_empty() {
            self.admit_all();
            true
        } else if self.waiting.is_empty() {
            true
        } else {
            self.admit_what_fits();
            false
        };
        if by_length {
            return self.running.iter().map(Entry::bucket).min();
        }
        let mut priorities = BTreeMap::<Bucket, f64>::new();
        for entry in &self.running {
            let priority = f64::from(entry.urgency) + f64::from(entry.length()).log2();
            *priorities.entry(entry.bucket()).or_default() += priority;
        }
        priorities.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(bucket, _)| bucket)
    }

    /// mistral.rs respects no limit here but the capacity of the KV cache.
    fn admit_all(&mut self) {
        let mut kv_tokens: u64 = self.stalled.iter().map(|entry| entry.job.kv_tokens()).sum();
        let kv_capacity_tokens = self.limits.kv_capacity_tokens;
        let fits = |entry: &mut Entry| {
            let fits = kv_tokens + entry.job.kv_tokens() <= kv_capacity_tokens;
            if fits {
                kv_tokens += entry.job.kv_tokens();
            }
            fits
        };
        self.running.extend(self.waiting.extract_if(.., fits));
        for entry in &mut self.running {
            entry.needs_prefill = true;
        }
    }

    fn admit_what_fits(&mut self) {
        self.waiting.sort_by_key(|entry| entry.job.key);
        let slots = self.limits.max_sequences.saturating_sub(self.running.len() + self.stalled.len());
        let mut kv_tokens: u64 = self.running.iter().chain(&self.stalled).map(|entry| entry.job.kv_tokens()).sum();
        let mut joined = 0;
        while joined < slots.min(self.waiting.len()) {
            kv_tokens += self.waiting[joined].job.kv_tokens();
            if kv_tokens > self.limits.kv_capacity_tokens {
                break;
            }
            joined += 1;
        }
        self.running.extend(self.waiting.drain(..joined));
    }

    /// A step that gives every running sequence one token.
    fn run(&mut self) -> Step {
        let mut begun = Vec::new();
        let mut prefill_tokens = 0;
        let mut decoding = 0;
        let mut prompt_lengths = BTreeSet::new();
        for entry in &mut self.running {
            if !std::mem::replace(&mut entry.has_begun, true) {
                begun.push(entry.job.key);
            }
            if std::mem::take(&mut entry.needs_prefill) {
                prefill_tokens += entry.length() - entry.job.cached_tokens;
            } else {
                decoding += 1;
                prompt_lengths.insert(entry.job.prompt_tokens);
            }
            entry.generated += 1;
        }
        let cost = &self.limits.cost;
        let decode = cost.decode(decoding, prompt_lengths.len() > 1);
        let produced = self.running.iter().map(|entry| entry.job.key).collect();
        Step { duration: decode.saturating_add(cost.prefill(prefill_tokens)), begun, produced }
    }
}
