//! `POST /v1/chat/completions`

use actix_web::{HttpResponse, web};
use hostler_protocol::{Prompt, RequestError};

use super::chat_format::ChatFormat;
use crate::auth::Caller;
use crate::body::{Endpoint, GenerationBody, Json, Parameters, Wishes, conversation};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::generation::{Asked, collect, respond, start};
use crate::shared::Shared;

/// Answers a conversation.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    exchange: Exchange,
    caller: Caller,
    wishes: Wishes,
    Json(mut body): Json<GenerationBody>,
) -> Result<HttpResponse, ApiError> {
    wishes.fill(&mut body);
    let parameters = Parameters::read(&body, Endpoint::Chat, shared.config.request_timeout, &exchange)?;
    let messages = body.messages.ok_or_else(|| RequestError::invalid("messages", "messages is missing"))?;
    let prompts = vec![Prompt::Chat(conversation(messages, &exchange)?)];
    let model = shared.model_id(body.model.as_deref())?;
    let (stream, include_usage) = (parameters.stream, parameters.include_usage);
    let asked = Asked { model, prompts, parameters, caller };

    let begun = start(&shared, &exchange, asked).await?;
    let format = ChatFormat::new(begun.id, begun.model.clone(), include_usage);
    if stream {
        return Ok(respond(shared, exchange, begun, include_usage, format));
    }
    let (answers, tally) = collect(&shared, &exchange, begun).await?;
    Ok(HttpResponse::Ok().json(format.response(&answers, tally.usage())))
}
