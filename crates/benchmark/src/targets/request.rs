//! The request to a layer, and reading its answer: the same at every layer.

use std::time::Instant;

use futures::{Stream, StreamExt};
use hostler_loadgen::measure::{Answer, Failure, Stopwatch};
use hostler_loadgen::target::TargetDescription;
use hostler_loadgen::workload::Job;
use hostler_protocol::{
    ChatMessage, FencingToken, GenerationRequest, ModelDescription, ModelId, Priority, Prompt, RequestError, Role,
    SamplingParams, StopConditions, TokenEvent,
};
use serde_json::json;

/// What all requests of a benchmark have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTemplate {
    /// The model.
    pub model: ModelId,
    /// Whether a prompt is a user message for the model's chat template; otherwise it is text
    /// to continue.
    pub chat: bool,
    /// The claim of the requests.
    pub claim: Option<FencingToken>,
}

impl RequestTemplate {
    /// The request for `job`.
    pub(super) fn request(&self, job: &Job) -> GenerationRequest {
        let prompt = if self.chat { Prompt::Chat(conversation(job).into()) } else { Prompt::Text(job.text()) };
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

    /// The description of a layer that receives these requests.
    pub(super) fn describe(&self, layer: &str, address: &str, model: Option<&ModelDescription>) -> TargetDescription {
        TargetDescription {
            layer: layer.to_owned(),
            address: address.to_owned(),
            model: self.model.to_string(),
            settings: json!({"chat": self.chat}),
            facts: json!(model),
        }
    }
}

/// The conversation so far and the prompt.
fn conversation(job: &Job) -> Vec<ChatMessage> {
    let message = |role, content: &str| ChatMessage::new(role, content);
    let history =
        job.history.iter().flat_map(|turn| [message(Role::User, &turn.prompt), message(Role::Assistant, &turn.answer)]);
    history.chain([message(Role::User, &job.prompt)]).collect()
}

/// Reads a generation to its end.
pub(super) async fn read_answer(
    mut events: impl Stream<Item = TokenEvent> + Unpin,
    stopwatch: &mut Stopwatch,
) -> Result<Answer, Failure> {
    while let Some(event) = events.next().await {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => record(&token.text, stopwatch),
            TokenEvent::Finished(finish) => {
                record(&finish.text, stopwatch);
                return Ok(Answer {
                    prompt_tokens: Some(finish.usage.prompt_tokens),
                    output_tokens: finish.usage.completion_tokens,
                    counted_by_server: true,
                });
            }
            TokenEvent::Failed(error) => return Err(error.into()),
        }
    }
    Err(RequestError::ended_without_final_event().into())
}

/// Records a token if it has text, because a client sees only those.
fn record(text: &str, stopwatch: &mut Stopwatch) {
    if !text.is_empty() {
        stopwatch.record_token(Instant::now());
        stopwatch.record_text(text);
    }
}
