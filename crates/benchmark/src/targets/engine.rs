//! The engine without a scheduler: the lowest rung.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostler_executor::{EndReport, ModelExecutor, Sequence, SequenceObserver, TextError, token_channel};
use hostler_loadgen::measure::{Answer, Failure, Stopwatch};
use hostler_loadgen::target::{Target, TargetDescription};
use hostler_loadgen::workload::Job;
use hostler_protocol::{ErrorCode, GenerationRequest, Prompt, RequestError, TokenId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::request::{RequestTemplate, read_answer};

/// An engine. Requests wait here only as far as the engine's contract requires: it gets no
/// more sequences than it can run.
pub struct EngineTarget {
    executor: Arc<dyn ModelExecutor>,
    template: RequestTemplate,
    slots: Arc<Semaphore>,
    slots_max: u32,
}

impl EngineTarget {
    /// A target for `executor` with at most `batch_size_max` sequences at once, and never
    /// more than the engine can run.
    #[must_use]
    pub fn new(executor: Arc<dyn ModelExecutor>, template: RequestTemplate, batch_size_max: u32) -> Self {
        let slots_max = batch_size_max.min(executor.description().driving.max_sequences).max(1);
        Self { executor, template, slots: Arc::new(Semaphore::new(slots_max as usize)), slots_max }
    }

    /// Returns when the engine has ended all its sequences: one whose client disconnected
    /// runs until the next step.
    pub async fn idle(&self) {
        // An error means that the semaphore was closed, which never happens.
        let _ = self.slots.acquire_many(self.slots_max).await;
    }
}

#[async_trait]
impl Target for EngineTarget {
    fn describe(&self) -> TargetDescription {
        let description = self.executor.description();
        self.template.describe("engine", &description.device, Some(description))
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let sequence = sequence(self.executor.as_ref(), self.template.request(job)).map_err(RequestError::from)?;
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            let message = "the semaphore of the engine's slots was closed".to_owned();
            return Err(Failure::Code { code: ErrorCode::Internal, message });
        };
        let (sink, stream) = token_channel(&sequence, Some(Box::new(Slot(Some(slot)))));
        self.executor.start(sequence, sink);
        read_answer(stream, stopwatch).await
    }
}

/// A slot in the engine, released when the engine has ended the sequence.
struct Slot(Option<OwnedSemaphorePermit>);

impl SequenceObserver for Slot {
    fn started(&mut self, _: Duration) {}

    fn token(&mut self, _: u32, _: Duration) {}

    fn ended(&mut self, _: &EndReport) {
        self.0 = None;
    }
}

/// The request as the engine's sequence.
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
        Prompt::Chat(chat) => text.encode(&text.render_chat(&chat)?, false),
        Prompt::Tokens(tokens) => Ok(tokens),
    }
}
