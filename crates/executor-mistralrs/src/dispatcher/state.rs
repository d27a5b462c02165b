//! Which sequences wait, which the engine has, and whether there still is an engine.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hostler_executor_kit::Ending;
use hostler_protocol::{ErrorCode, RequestError, TokenId};

use super::drain::{Complaint, Drained, drain};
use super::{Job, Rules};
use crate::engine::Engine;
use crate::life::Life;
use crate::processor::Running;

pub(super) struct Dispatch {
    /// `None` once it has failed or was stopped; it stays so.
    engine: Option<Engine>,
    rules: Rules,
    life: Arc<Life>,
    waiting: VecDeque<Waiting>,
    /// Everything that the engine has, until it is through with it.
    in_flight: Vec<Arc<Running>>,
    pub(super) draining: FuturesUnordered<BoxFuture<'static, Drained>>,
}

struct Waiting {
    tokens: Vec<TokenId>,
    /// Steps after the prompt's, replayed ones included.
    max_steps: usize,
    running: Arc<Running>,
}

impl Dispatch {
    pub(super) fn new(engine: Engine, rules: Rules, life: Arc<Life>) -> Self {
        Self {
            engine: Some(engine),
            rules,
            life,
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            draining: FuturesUnordered::new(),
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.engine.is_some()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn enqueue(&mut self, job: Job) {
        if self.engine.is_none() {
            return job.generation.fail(failure("it has stopped"));
        }
        let Rules { end_token, vocabulary_size, .. } = self.rules;
        let Job { tokens, replay, max_new_tokens, generation } = job;
        let max_steps = replay.len() + max_new_tokens as usize;
        let life = Arc::clone(&self.life);
        let running = Arc::new(Running::new(generation, replay, life, end_token, vocabulary_size));
        self.waiting.push_back(Waiting { tokens, max_steps, running });
    }

    /// Drops those that wait and that nobody wants any more.
    pub(super) fn sweep(&mut self) {
        self.waiting.retain(|waiting| !waiting.running.stop_if_asked());
    }

    /// Hands over as many as there is room for.
    pub(super) fn hand_over(&mut self) {
        while self.in_flight.len() < self.rules.max_sequences
            && let Some(engine) = &mut self.engine
            && let Some(Waiting { tokens, max_steps, running }) = self.waiting.pop_front()
        {
            if !running.begin() {
                continue;
            }
            let processor = Arc::clone(&running);
            match engine.submit(tokens, max_steps, processor) {
                Ok(responses) => {
                    self.in_flight.push(Arc::clone(&running));
                    self.draining.push(Box::pin(drain(running, responses)));
                }
                Err(reason) => {
                    self.in_flight.push(running);
                    self.fail(&reason);
                }
            }
        }
    }

    /// The engine is through with a sequence. It must have ended by then: by its
    /// processor, or here, because the engine refused it or failed.
    pub(super) fn drained(&mut self, drained: Drained) {
        let Drained { running, complaint } = drained;
        match complaint {
            Complaint::Refused(reason) => {
                let error = RequestError::new(ErrorCode::InvalidRequest, format!("the engine refuses this: {reason}"));
                running.end(Ending::Failed(error));
            }
            // What the engine does after a failure cannot be known: another is loaded.
            Complaint::Failed(reason) => self.fail(&reason),
            Complaint::None if !running.has_ended() => self.fail("it dropped a sequence without a final event"),
            Complaint::None => {}
        }
        self.in_flight.retain(|other| !Arc::ptr_eq(other, &running));
    }

    /// The engine failed.
    pub(super) fn fail(&mut self, reason: &str) {
        if self.engine.is_some() {
            tracing::error!(reason, "the engine failed");
        }
        self.stop(reason);
    }

    /// Stops the engine and tells every sequence.
    pub(super) fn stop(&mut self, reason: &str) {
        self.life.end();
        self.engine = None;
        let waiting = self.waiting.drain(..).map(|waiting| waiting.running);
        for running in waiting.chain(self.in_flight.iter().cloned()) {
            running.end(Ending::Failed(failure(reason)));
        }
    }
}

fn failure(reason: &str) -> RequestError {
    RequestError::new(ErrorCode::EngineFailed, format!("the engine failed: {reason}"))
}
