//! The layers of a server, asked in this process: the rungs of the ladder below HTTP.
//!
//! All of them get the same request, and their tokens are counted in the same way
//! as those of a stream over HTTP: by the pieces that have text.

mod engine;
mod events;
mod router;
mod scheduler;

pub use engine::EngineTarget;
pub use router::RouterTarget;
pub use scheduler::SchedulerTarget;

use hostler_protocol::{
    ChatMessage, FencingToken, GenerationRequest, ModelDescription, ModelId, Priority, Prompt, RequestError, Role,
    SamplingParams, StopConditions,
};
use serde_json::json;

use super::TargetDescription;
use crate::measure::Failure;
use crate::workload::Job;

/// How a layer is asked: the same at every rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The model that shall answer.
    pub model: ModelId,
    /// Whether prompts are laid out by the model's chat template, as a user's
    /// message; otherwise they are text to continue.
    pub chat: bool,
    /// The claim under which requests come.
    pub claim: Option<FencingToken>,
}

impl Asking {
    /// The request for a job.
    fn request(&self, job: &Job) -> GenerationRequest {
        let prompt = if self.chat { Prompt::Chat(conversation(job)) } else { Prompt::Text(job.text()) };
        GenerationRequest {
            sampling: SamplingParams { temperature: job.temperature, ..SamplingParams::default() },
            stop: StopConditions {
                max_tokens: Some(job.max_tokens),
                ignore_eos: job.exact_length,
                ..StopConditions::default()
            },
            priority: Priority::Default,
            claim: self.claim,
            ..GenerationRequest::new(self.model.clone(), prompt)
        }
    }

    /// What a layer that is asked like this is, for results.
    fn describe(&self, layer: &str, address: &str, model: Option<&ModelDescription>) -> TargetDescription {
        TargetDescription {
            layer: layer.to_owned(),
            address: address.to_owned(),
            model: self.model.to_string(),
            settings: json!({"chat": self.chat}),
            facts: json!(model),
        }
    }
}

/// What was said before, and what is said now.
fn conversation(job: &Job) -> Vec<ChatMessage> {
    let message = |role, content: &str| ChatMessage { role, content: content.to_owned(), name: None };
    let before =
        job.history.iter().flat_map(|turn| [message(Role::User, &turn.prompt), message(Role::Assistant, &turn.answer)]);
    before.chain([message(Role::User, &job.prompt)]).collect()
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Code { code: error.code, message: error.message }
    }
}
