//! The waiting sequences, those in the engine, and the engine itself.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use hostler_executor::EngineStatus;
use hostler_executor_kit::{Ending, Generation};
use hostler_protocol::{ErrorCode, RequestError, TokenId};
use mistralrs::core::Response;
use tokio::sync::mpsc::Receiver;

use crate::device::first_line;
use crate::engine::Engine;
use crate::processor::{ModelParams, Running};

/// A validated sequence.
pub(crate) struct Job {
    /// The tokens that the engine processes as the prompt.
    pub(crate) tokens: Vec<TokenId>,
    /// The tokens that the engine decodes after that, before it generates new ones.
    pub(crate) replay: Vec<TokenId>,
    pub(crate) max_new_tokens: u32,
    pub(crate) generation: Generation,
}

/// The maximum number of concurrent sequences, and the parameters of the model.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_sequences: usize,
    pub(crate) model: ModelParams,
}

/// The state of the dispatcher.
pub(super) struct Dispatch {
    /// `None` after it has failed or was stopped.
    engine: Option<Engine>,
    limits: Limits,
    status: Arc<EngineStatus>,
    waiting: VecDeque<Waiting>,
    /// The sequences in the engine, until it has dropped them.
    in_flight: Vec<Arc<Running>>,
    pub(super) draining: FuturesUnordered<BoxFuture<'static, Drained>>,
}

struct Waiting {
    tokens: Vec<TokenId>,
    /// Steps after the prefill, including replayed ones.
    max_steps: usize,
    running: Arc<Running>,
}

/// The engine's responses to a sequence, other than tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EngineError {
    /// The request is invalid.
    Rejected(String),
    /// The engine failed.
    Failed(String),
}

/// A sequence that the engine has dropped.
pub(super) struct Drained {
    running: Arc<Running>,
    error: Option<EngineError>,
}

/// Receives the responses until the engine drops its sender, together with the sequence.
async fn drain(running: Arc<Running>, mut responses: Receiver<Response>) -> Drained {
    let mut error = None;
    while let Some(response) = responses.recv().await {
        error = error.or(engine_error(response));
    }
    Drained { running, error }
}

fn engine_error(response: Response) -> Option<EngineError> {
    match response {
        Response::ValidationError(error) => Some(EngineError::Rejected(first_line(&error.to_string()))),
        Response::InternalError(error) => Some(EngineError::Failed(first_line(&error.to_string()))),
        Response::ModelError(message, _) | Response::CompletionModelError(message, _) => {
            Some(EngineError::Failed(first_line(&message)))
        }
        _ => None,
    }
}

impl Dispatch {
    pub(super) fn new(engine: Engine, limits: Limits, status: Arc<EngineStatus>) -> Self {
        Self {
            engine: Some(engine),
            limits,
            status,
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
        let Job { tokens, replay, max_new_tokens, generation } = job;
        let max_steps = replay.len() + max_new_tokens as usize;
        let running = Arc::new(Running::new(generation, replay, Arc::clone(&self.status), self.limits.model));
        self.waiting.push_back(Waiting { tokens, max_steps, running });
    }

    /// Ends waiting sequences that were cancelled.
    pub(super) fn sweep(&mut self) {
        self.waiting.retain(|waiting| !waiting.running.stop_if_requested());
    }

    /// Submits waiting sequences while there are free slots.
    pub(super) fn submit_waiting(&mut self) {
        while self.in_flight.len() < self.limits.max_sequences
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

    /// Handles a sequence that the engine has dropped. The processor has ended it, unless
    /// the engine rejected it or failed.
    pub(super) fn drained(&mut self, Drained { running, error }: Drained) {
        match error {
            Some(EngineError::Rejected(reason)) => {
                let message = format!("the engine rejects the request: {reason}");
                running.end(Ending::Failed(RequestError::new(ErrorCode::InvalidRequest, message)));
            }
            // The state of the engine after a failure is unknown, so a new one is loaded.
            Some(EngineError::Failed(reason)) => self.fail(&reason),
            None if !running.has_ended() => self.fail("it dropped a sequence without a final event"),
            None => {}
        }
        self.in_flight.retain(|other| !Arc::ptr_eq(other, &running));
    }

    /// Handles a failure of the engine.
    pub(super) fn fail(&mut self, reason: &str) {
        if self.engine.is_some() {
            tracing::error!(reason, "engine failed");
        }
        self.stop(reason);
    }

    /// Stops the engine and fails all sequences.
    pub(super) fn stop(&mut self, reason: &str) {
        self.status.mark_dead();
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
