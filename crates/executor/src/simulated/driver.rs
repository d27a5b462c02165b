//! The engine's thread: takes sequences in, lets each step's time pass, and
//! delivers its tokens.

mod live;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, RequestError};

use super::executor::Life;
use super::planner::{Job, Key, Planner, Step};
use super::prefix_cache::PrefixCache;
use super::{FaultKind, Faults, SimulatedConfig, SimulatedProbe};
use crate::{Sequence, TokenSink};
use live::{Live, Next};

/// How late the engine may be and still make up for it: steps follow absolute
/// deadlines, so that a late wake-up shortens the next wait, and steps are as long
/// as they should be on average. What a machine lost beyond this is lost.
const LATENESS_MAX: Duration = Duration::from_millis(500);

/// How soon a cancelled sequence is noticed when no step runs, because every
/// sequence in the engine hangs.
const STALLED_POLL: Duration = Duration::from_millis(5);

/// Most sequences in the engine. A caller keeps to `max_sequences`; this is so
/// that one that does not is told, before memory is.
const SEQUENCES_MAX: usize = 4096;

/// A sequence on its way to the engine.
pub(super) struct Arrival {
    pub(super) sequence: Sequence,
    pub(super) sink: TokenSink,
}

pub(super) struct Driver {
    arrivals: Receiver<Arrival>,
    planner: Planner,
    cache: PrefixCache,
    live: BTreeMap<Key, Live>,
    /// Sequences taken in so far: the key of the next, less one.
    taken: u64,
    /// Tokens generated so far.
    tokens: u64,
    /// When the step before ended, or should have.
    step_end: Instant,
    eos_after: Option<u32>,
    faults: Faults,
    life: Arc<Life>,
    probe: SimulatedProbe,
}

/// The engine ends: it was dropped, or a fault took it.
struct Ended;

/// Says that the engine is dead when its thread ends, by a panic too.
struct LifeGuard(Arc<Life>);

impl Drop for LifeGuard {
    fn drop(&mut self) {
        self.0.alive.store(false, Ordering::Release);
    }
}

impl Driver {
    pub(super) fn new(
        config: &SimulatedConfig,
        arrivals: Receiver<Arrival>,
        life: Arc<Life>,
        probe: SimulatedProbe,
    ) -> Self {
        Self {
            arrivals,
            planner: Planner::new(config),
            cache: PrefixCache::new(config.prefix_cache_tokens),
            live: BTreeMap::new(),
            taken: 0,
            tokens: 0,
            step_end: Instant::now(),
            eos_after: config.eos_after,
            faults: config.faults,
            life,
            probe,
        }
    }

    /// Runs until the engine is dropped, or a fault ends it. Sequences that are
    /// still there then fail as their sinks are dropped, after the guard has said
    /// that the engine is dead.
    pub(super) fn run(mut self) {
        let _guard = LifeGuard(self.life.clone());
        while self.turn().is_ok() {}
    }

    fn turn(&mut self) -> Result<(), Ended> {
        self.end_unwanted();
        self.meet_engine_fault()?;
        match self.planner.next_step() {
            Some(step) => self.perform(&step),
            None => self.wait_for_work(),
        }
    }

    /// Ends what nobody wants any more, before a step is spent on it.
    fn end_unwanted(&mut self) {
        let unwanted = self.live.iter().filter(|(_, live)| live.is_unwanted());
        for key in unwanted.map(|(&key, _)| key).collect::<Vec<_>>() {
            self.planner.remove(key);
            if let Some(live) = self.live.remove(&key) {
                live.stop();
            }
        }
    }

    fn perform(&mut self, step: &Step) -> Result<(), Ended> {
        for key in &step.begun {
            if let Some(live) = self.live.get_mut(key) {
                live.begin();
            }
        }
        let now = Instant::now();
        let earliest = now.checked_sub(LATENESS_MAX).unwrap_or(now);
        self.step_end = self.step_end.max(earliest) + step.duration;
        self.take_in_until(self.step_end)?;
        self.life.steps.fetch_add(1, Ordering::Relaxed);
        for &key in &step.produced {
            self.deliver(key);
        }
        Ok(())
    }

    /// Takes sequences in until `end`; at once those that are there already.
    fn take_in_until(&mut self, end: Instant) -> Result<(), Ended> {
        loop {
            let wait = end.saturating_duration_since(Instant::now());
            match self.arrivals.recv_timeout(wait) {
                Ok(arrival) => self.take_in(arrival),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Ended),
            }
        }
    }

    /// Waits until there is something to do. The time until then is nobody's.
    fn wait_for_work(&mut self) -> Result<(), Ended> {
        if self.live.is_empty() {
            let arrival = self.arrivals.recv().map_err(|_| Ended)?;
            self.take_in(arrival);
        } else {
            self.take_in_until(Instant::now() + STALLED_POLL)?;
        }
        // What came together is admitted together.
        self.take_in_until(Instant::now())?;
        self.step_end = Instant::now();
        Ok(())
    }

    fn take_in(&mut self, Arrival { sequence, sink }: Arrival) {
        if self.live.len() == SEQUENCES_MAX {
            let message = format!("the engine holds {SEQUENCES_MAX} sequences already");
            return sink.fail(RequestError::new(ErrorCode::Overloaded, message));
        }
        self.taken += 1;
        let key = self.taken;
        // The last token of the prompt is always read: its successor is wanted.
        let cached = self.cache.reuse(&sequence.tokens);
        let cached_tokens = cached.min(sequence.prompt().len() as u32 - 1);
        let job = Job {
            key,
            prompt_tokens: sequence.tokens.len() as u32,
            cached_tokens,
            max_new_tokens: sequence.max_new_tokens,
        };
        let fault = self.faults.of_sequence(key);
        if let Some(live) = Live::new(sequence, sink, cached_tokens, self.eos_after, fault, self.probe.hold()) {
            self.planner.submit(job);
            self.live.insert(key, live);
        }
    }

    /// The step gave `key` a token.
    fn deliver(&mut self, key: Key) {
        let Some(live) = self.live.get_mut(&key) else { return };
        if live.is_unwanted() {
            self.probe.wasted();
            return;
        }
        match live.next() {
            Next::Goes => self.count_token(),
            Next::Stalls => self.planner.stall(key),
            Next::Panics => panic!("a fault was asked for: the simulated engine panics at a sequence's token"),
            Next::Ends(ending) => {
                self.count_token();
                self.planner.remove(key);
                if let Some(live) = self.live.remove(&key) {
                    self.cache.keep(live.tokens());
                    live.end(ending);
                }
            }
        }
    }

    fn count_token(&mut self) {
        self.tokens += 1;
        self.probe.generated();
    }

    /// Fails, panics or hangs, if that is due.
    fn meet_engine_fault(&mut self) -> Result<(), Ended> {
        if self.live.is_empty() {
            return Ok(());
        }
        let due = self.faults.engine.filter(|fault| self.tokens >= fault.after_tokens);
        let Some(kind) = due.map(|fault| fault.kind).or_else(|| self.probe.take_injected()) else { return Ok(()) };
        match kind {
            FaultKind::Fail => Err(Ended),
            FaultKind::Panic => panic!("a fault was asked for: the simulated engine panics"),
            FaultKind::Hang => {
                // Nothing is done, and nothing is answered, until it is dropped.
                let mut unanswered = Vec::new();
                while let Ok(arrival) = self.arrivals.recv() {
                    unanswered.push(arrival);
                }
                Err(Ended)
            }
        }
    }
}
