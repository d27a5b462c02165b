//! `POST /v1/chat/completions`

use actix_web::HttpResponse;
use hostler_protocol::{Conversation, Prompt, RequestError};

use super::chat_format::ChatFormat;
use super::envelope::Envelope;
use crate::generation::GenerationCall;
use crate::http::error::ApiError;
use crate::request::{Dialect, Tools, conversation, template_variables};

/// Answers a conversation (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    responses((status = 200, description = "The answers, or a stream of their tokens")),
    security(("api_key" = []))
)]
pub(crate) async fn chat_completions(mut call: GenerationCall) -> Result<HttpResponse, ApiError> {
    let parameters = call.parameters(Dialect::Chat)?;
    let messages = call.body.messages.take();
    let messages = messages.ok_or_else(|| RequestError::invalid("messages", "messages is required"))?;
    let variables = template_variables(call.body.reasoning_effort, call.body.chat_template_kwargs.as_deref())?;
    let messages = conversation(messages, &call.context)?;
    let tools = parameters.tools.as_ref().and_then(Tools::for_template);
    let prompts = vec![Prompt::Chat(Conversation { messages, tools, variables })];
    let include_usage = parameters.include_usage;
    call.respond(prompts, parameters, |id, model| ChatFormat::new(Envelope::new("chatcmpl-", id, model, include_usage)))
        .await
}
