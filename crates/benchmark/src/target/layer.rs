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
    ChatMessage, GenerationRequest, ModelDescription, ModelId, Priority, Prompt, RequestError, Role, SamplingParams,
    StopConditions,
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
}

impl Asking {
    /// The request for a job.
    fn request(&self, job: &Job) -> GenerationRequest {
        let prompt = if self.chat {
            Prompt::Chat(vec![ChatMessage { role: Role::User, content: job.prompt.clone(), name: None }])
        } else {
            Prompt::Text(job.prompt.clone())
        };
        GenerationRequest {
            sampling: SamplingParams { temperature: job.temperature, ..SamplingParams::default() },
            stop: StopConditions {
                max_tokens: Some(job.max_tokens),
                ignore_eos: job.exact_length,
                ..StopConditions::default()
            },
            priority: Priority::Default,
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

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Code { code: error.code, message: error.message }
    }
}
