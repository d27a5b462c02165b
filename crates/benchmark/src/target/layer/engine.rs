//! The engine alone: the lowest rung.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_executor::{EndReport, ModelExecutor, Sequence, SequenceObserver, TextError, token_channel};
use hostler_protocol::{ErrorCode, GenerationRequest, Prompt, RequestError, TokenId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Asking, events};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::target::{Target, TargetDescription};
use crate::workload::Job;

/// An engine, with nothing before it but what its contract asks for: no more
/// sequences in flight than it can run. What is beyond waits here.
pub struct EngineTarget {
    executor: Arc<dyn ModelExecutor>,
    asking: Asking,
    slots: Arc<Semaphore>,
    slots_max: u32,
}

impl EngineTarget {
    /// An engine that gets at most `batch_size_max` sequences at once, and never
    /// more than it says that it can run.
    #[must_use]
    pub fn new(executor: Arc<dyn ModelExecutor>, asking: Asking, batch_size_max: u32) -> Self {
        let slots_max = batch_size_max.min(executor.description().driving.max_sequences).max(1);
        Self { executor, asking, slots: Arc::new(Semaphore::new(slots_max as usize)), slots_max }
    }

    /// Returns when the engine has ended all that it was given: a sequence whose
    /// client left runs on until the next step.
    pub async fn idle(&self) {
        // An error means that the semaphore was closed, which nobody does.
        let _ = self.slots.acquire_many(self.slots_max).await;
    }
}

#[async_trait]
impl Target for EngineTarget {
    fn describe(&self) -> TargetDescription {
        let description = self.executor.description();
        self.asking.describe("engine", &description.device, Some(description))
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let sequence = sequence(self.executor.as_ref(), self.asking.request(job)).map_err(RequestError::from)?;
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            let message = "the semaphore of the engine's slots was closed".to_owned();
            return Err(Failure::Code { code: ErrorCode::Internal, message });
        };
        let (sink, stream) = token_channel(&sequence, Some(Box::new(Slot(Some(slot)))));
        self.executor.start(sequence, sink);
        events::read(stream, stopwatch).await
    }
}

/// A place in the engine, given back when the engine has ended the sequence.
struct Slot(Option<OwnedSemaphorePermit>);

impl SequenceObserver for Slot {
    fn started(&mut self, _: Duration) {}

    fn token(&mut self, _: u32, _: Duration) {}

    fn ended(&mut self, _: &EndReport) {
        self.0 = None;
    }
}

/// The request as the engine takes it.
fn sequence(executor: &dyn ModelExecutor, request: GenerationRequest) -> Result<Sequence, TextError> {
    let tokens = tokens(executor, request.prompt)?;
    let max_new_tokens = request.stop.max_tokens.unwrap_or(1);
    Ok(Sequence {
        id: request.id,
        sampling: request.sampling,
        stop: request.stop,
        ..Sequence::greedy(tokens, max_new_tokens)
    })
}

fn tokens(executor: &dyn ModelExecutor, prompt: Prompt) -> Result<Vec<TokenId>, TextError> {
    let text = executor.text();
    match prompt {
        Prompt::Text(prompt) => text.encode(&prompt, true),
        Prompt::Chat(messages) => text.encode(&text.render_chat(&messages)?, false),
        Prompt::Tokens(tokens) => Ok(tokens),
    }
}
