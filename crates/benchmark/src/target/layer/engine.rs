//! The engine alone: the lowest rung.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_executor::{ModelExecutor, Sequence, TextError};
use hostler_protocol::{ErrorCode, GenerationRequest, Prompt, RequestError, TokenId};
use tokio::sync::Semaphore;

use super::{Asking, events};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::target::{Target, TargetDescription};
use crate::workload::Job;

/// An engine, with nothing before it but what its contract asks for: no more
/// sequences in flight than it can run. What is beyond waits here.
pub struct EngineTarget {
    executor: Arc<dyn ModelExecutor>,
    asking: Asking,
    slots: Semaphore,
}

impl EngineTarget {
    /// An engine that gets at most `batch_size_max` sequences at once, and never
    /// more than it says that it can run.
    #[must_use]
    pub fn new(executor: Arc<dyn ModelExecutor>, asking: Asking, batch_size_max: u32) -> Self {
        let slots = batch_size_max.min(executor.description().driving.max_sequences).max(1);
        Self { executor, asking, slots: Semaphore::new(slots as usize) }
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
        let Ok(_slot) = self.slots.acquire().await else {
            let message = "the semaphore of the engine's slots was closed".to_owned();
            return Err(Failure::Code { code: ErrorCode::Internal, message });
        };
        events::read(self.executor.generate(sequence), stopwatch).await
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
