//! The engine's thread: accepts sequences, waits for the duration of each step, and
//! delivers its tokens.

mod active;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, RequestError};

use super::planner::{Job, Key, Planner, Step, planner};
use super::prefix_cache::PrefixCache;
use super::script::Script;
use super::{FaultKind, Faults, SimulatedConfig, SimulatedProbe};
use crate::{EngineStatus, Sequence, TokenSink};
use active::{ActiveSequence, Next};

/// Maximum delay that later steps make up for. Steps end at absolute deadlines, so a
/// late wake-up shortens the next wait, and the average duration of a step is exact.
/// A longer delay is not made up for.
const LATENESS_MAX: Duration = Duration::from_millis(500);

/// Interval of checks for cancelled sequences while no step runs because every sequence
/// hangs.
const STALLED_POLL: Duration = Duration::from_millis(5);

/// Maximum sequences in the engine, waiting ones included. Callers respect
/// `max_sequences`; this limit bounds the memory if one does not.
const SEQUENCES_MAX: usize = 4096;

/// A sequence to be added to the engine.
pub(super) struct Submission {
    pub(super) sequence: Sequence,
    pub(super) sink: TokenSink,
}

/// Runs a simulated engine.
pub(super) struct Driver {
    submissions: Receiver<Submission>,
    planner: Box<dyn Planner>,
    cache: PrefixCache,
    sequences: BTreeMap<Key, ActiveSequence>,
    /// Number of sequences accepted so far; the next one's key is one more.
    accepted: u64,
    /// Number of tokens generated so far.
    tokens: u64,
    /// The scheduled end of the previous step.
    step_end: Instant,
    eos_after: Option<u32>,
    script: Script,
    faults: Faults,
    status: Arc<EngineStatus>,
    probe: SimulatedProbe,
}

/// The engine ends: it was dropped, or a fault ended it.
struct Ended;

impl Driver {
    pub(super) fn new(
        config: &SimulatedConfig,
        submissions: Receiver<Submission>,
        status: Arc<EngineStatus>,
        probe: SimulatedProbe,
    ) -> Self {
        Self {
            submissions,
            planner: planner(config),
            cache: PrefixCache::new(config.prefix_cache_tokens),
            sequences: BTreeMap::new(),
            accepted: 0,
            tokens: 0,
            step_end: Instant::now(),
            eos_after: config.eos_after,
            script: Script::new(&config.script),
            faults: config.faults,
            status,
            probe,
        }
    }

    /// Runs until the engine is dropped or a fault ends it. The remaining sequences fail
    /// when their sinks are dropped, after the guard has marked the engine as dead.
    pub(super) fn run(mut self) {
        let _guard = self.status.dead_on_drop();
        while self.run_once().is_ok() {}
    }

    fn run_once(&mut self) -> Result<(), Ended> {
        self.stop_cancelled();
        self.trigger_engine_fault()?;
        match self.planner.next_step() {
            Some(step) => self.perform(&step),
            None => self.wait_for_work(),
        }
    }

    /// Ends cancelled sequences before the next step.
    fn stop_cancelled(&mut self) {
        let cancelled = self.sequences.iter().filter(|(_, sequence)| sequence.stop_requested());
        for key in cancelled.map(|(&key, _)| key).collect::<Vec<_>>() {
            self.planner.remove(key);
            if let Some(sequence) = self.sequences.remove(&key) {
                sequence.stop();
            }
        }
    }

    fn perform(&mut self, step: &Step) -> Result<(), Ended> {
        for key in &step.begun {
            if let Some(sequence) = self.sequences.get_mut(key) {
                sequence.begin();
            }
        }
        let now = Instant::now();
        let earliest = now.checked_sub(LATENESS_MAX).unwrap_or(now);
        self.step_end = self.step_end.max(earliest) + step.duration;
        self.accept_until(self.step_end)?;
        self.status.count_step();
        for &key in &step.produced {
            self.deliver(key);
        }
        Ok(())
    }

    /// Accepts sequences until `end`; at least those that were already submitted.
    fn accept_until(&mut self, end: Instant) -> Result<(), Ended> {
        loop {
            let wait = end.saturating_duration_since(Instant::now());
            match self.submissions.recv_timeout(wait) {
                Ok(submission) => self.accept(submission),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Ended),
            }
        }
    }

    /// Waits until there is something to do. Idle time does not count as lateness.
    fn wait_for_work(&mut self) -> Result<(), Ended> {
        if self.sequences.is_empty() {
            let submission = self.submissions.recv().map_err(|_| Ended)?;
            self.accept(submission);
        } else {
            self.accept_until(Instant::now() + STALLED_POLL)?;
        }
        // Sequences that were submitted together start in the same step.
        self.accept_until(Instant::now())?;
        self.step_end = Instant::now();
        Ok(())
    }

    fn accept(&mut self, Submission { sequence, sink }: Submission) {
        if self.sequences.len() == SEQUENCES_MAX {
            let message = format!("the engine already holds {SEQUENCES_MAX} sequences");
            return sink.fail(RequestError::new(ErrorCode::Overloaded, message));
        }
        self.accepted += 1;
        let key = self.accepted;
        // The last token of the prompt is always computed: it gives the first logits.
        let cached = self.cache.reuse(&sequence.cache_scope, &sequence.tokens);
        let cached_tokens = cached.min(sequence.prompt().len() as u32 - 1);
        let job = Job {
            key,
            prompt_tokens: sequence.tokens.len() as u32,
            cached_tokens,
            max_new_tokens: sequence.max_new_tokens,
        };
        let fault = self.faults.of_sequence(key);
        let hold = self.probe.hold();
        let script = self.script.answer(sequence.prompt());
        let active = ActiveSequence::new(sequence, sink, cached_tokens, self.eos_after, script, fault, hold);
        if let Some(sequence) = active {
            self.planner.submit(job);
            self.sequences.insert(key, sequence);
        }
    }

    /// Generates the token that a step produced for a sequence.
    fn deliver(&mut self, key: Key) {
        let Some(sequence) = self.sequences.get_mut(&key) else { return };
        if sequence.stop_requested() {
            self.probe.wasted();
            return;
        }
        match sequence.next() {
            Next::Continue => self.count_token(),
            Next::Stall => self.planner.stall(key),
            Next::Panic => panic!("simulated fault: the engine panics at a token of a sequence"),
            Next::End(ending) => {
                self.count_token();
                self.planner.remove(key);
                if let Some(sequence) = self.sequences.remove(&key) {
                    self.cache.keep(sequence.cache_scope(), sequence.tokens());
                    sequence.end(ending);
                }
            }
        }
    }

    fn count_token(&mut self) {
        self.tokens += 1;
        self.probe.generated();
    }

    /// Fails, panics or hangs if an engine fault is due.
    fn trigger_engine_fault(&mut self) -> Result<(), Ended> {
        if self.sequences.is_empty() {
            return Ok(());
        }
        let due = self.faults.engine.filter(|fault| self.tokens >= fault.after_tokens);
        let Some(kind) = due.map(|fault| fault.kind).or_else(|| self.probe.take_injected()) else { return Ok(()) };
        match kind {
            FaultKind::Fail => Err(Ended),
            FaultKind::Panic => panic!("simulated fault: the engine panics"),
            FaultKind::Hang => {
                // Keep the sequences without any event until the engine is dropped.
                let mut unanswered = Vec::new();
                while let Ok(submission) = self.submissions.recv() {
                    unanswered.push(submission);
                }
                Err(Ended)
            }
        }
    }
}
