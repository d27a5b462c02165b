//! A scheduler's state and an arithmetic engine in virtual time: hours of load in
//! milliseconds, and deterministic.
//!
//! A step generates one token for each sequence. It takes `STEP`, plus `STEP_SEQUENCE` per
//! sequence, plus the prefill time of new prompts.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hostler_protocol::{Batching, Driving, ModelDescription, Prefill, Priority, RequestError, RequestId};
use hostler_scheduler::SchedulerConfig;
use hostler_scheduler::state::{Demand, Effect, SchedulingState, Ticket, work};
use hostler_testkit::model_description;

const STEP: Duration = Duration::from_millis(20);
const STEP_SEQUENCE: Duration = Duration::from_millis(1);
const PROMPT_TOKENS_PER_STEP_TIME: u32 = 20;

/// One request of a test.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) tenant: &'static str,
    pub(crate) class: Priority,
    pub(crate) prompt_tokens: u32,
    /// The maximum that it reserves, and the actual length.
    pub(crate) answer_tokens_max: u32,
    pub(crate) answer_tokens: u32,
    /// Equal for retries of the same request.
    pub(crate) fingerprint: u64,
}

/// When a request was submitted, started and finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) submitted: Instant,
    pub(crate) started: Option<Instant>,
    pub(crate) finished: Option<Instant>,
}

struct Running {
    left: u32,
    made: u32,
    unread: u32,
}

/// State, engine and clock.
pub(crate) struct VirtualScheduler {
    pub(crate) state: SchedulingState,
    pub(crate) now: Instant,
    pub(crate) fates: BTreeMap<Ticket, Fate>,
    pub(crate) tokens: u64,
    /// Requests that were admitted but not started in time.
    pub(crate) refused_late: u32,
    asks: BTreeMap<Ticket, Ask>,
    running: BTreeMap<Ticket, Running>,
    step_end: Option<Instant>,
    work_done: u64,
}

impl VirtualScheduler {
    pub(crate) fn new(config: &SchedulerConfig) -> Self {
        let prefill = Prefill::Chunked { tokens: 512 };
        let driving = Driving { max_sequences: 64, batching: Batching::Ragged, prefill };
        let description = ModelDescription { driving, ..model_description("virtual") };
        Self {
            state: SchedulingState::new(config, &description),
            now: Instant::now(),
            fates: BTreeMap::new(),
            tokens: 0,
            refused_late: 0,
            asks: BTreeMap::new(),
            running: BTreeMap::new(),
            step_end: None,
            work_done: 0,
        }
    }

    /// Submits a request now.
    pub(crate) fn submit(&mut self, ask: Ask) -> Result<Ticket, RequestError> {
        self.state.observe(self.now, self.work_done);
        let ticket = Ticket(self.fates.len() as u64);
        let demand = Demand {
            ticket,
            id: RequestId::new(),
            tenant: ask.tenant.into(),
            class: ask.class,
            prompt_tokens: ask.prompt_tokens,
            answer_tokens_max: ask.answer_tokens_max,
            deadline: None,
            fingerprint: ask.fingerprint,
            claim: None,
        };
        let effects = self.state.submit(self.now, demand)?;
        self.fates.insert(ticket, Fate { submitted: self.now, started: None, finished: None });
        self.asks.insert(ticket, ask);
        self.perform(effects);
        Ok(ticket)
    }

    /// Advances the time to `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        loop {
            let wake = self.state.next_wake();
            let next = [wake, self.step_end].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.state.observe(self.now, self.work_done);
            if self.step_end.is_some_and(|step_end| step_end <= self.now) {
                self.finish_step();
            } else {
                let effects = self.state.tick(self.now);
                self.perform(effects);
            }
        }
    }

    fn finish_step(&mut self) {
        self.step_end = None;
        let mut ended = Vec::new();
        for (&ticket, running) in &mut self.running {
            self.work_done += work(std::mem::take(&mut running.unread), 1);
            running.left -= 1;
            running.made += 1;
            self.tokens += 1;
            if running.left == 0 {
                ended.push((ticket, running.made));
            }
        }
        for (ticket, made) in ended {
            self.running.remove(&ticket);
            self.fates.get_mut(&ticket).expect("it ran").finished = Some(self.now);
            let effects = self.state.ended(self.now, ticket, made, false);
            self.perform(effects);
        }
        self.begin_step();
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(ticket) => {
                    let ask = &self.asks[&ticket];
                    let running = Running { left: ask.answer_tokens, made: 0, unread: ask.prompt_tokens };
                    self.running.insert(ticket, running);
                    self.fates.get_mut(&ticket).expect("it was submitted").started = Some(self.now);
                }
                Effect::Refuse(..) => self.refused_late += 1,
                Effect::Stop(..) | Effect::Empty => {}
            }
        }
        self.begin_step();
    }

    fn begin_step(&mut self) {
        if self.step_end.is_none() && !self.running.is_empty() {
            let sequences = u32::try_from(self.running.len()).expect("few");
            let unread: u32 = self.running.values().map(|running| running.unread).sum();
            let prefill = STEP * unread / PROMPT_TOKENS_PER_STEP_TIME / 20;
            self.step_end = Some(self.now + STEP + STEP_SEQUENCE * sequences + prefill);
        }
    }
}

/// The value below which this share of the values lies.
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len());
    values[index - 1]
}
