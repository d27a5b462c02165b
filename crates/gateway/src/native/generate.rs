//! `POST /generate` and `POST /generate_stream`

use actix_web::{HttpResponse, web};
use hostler_protocol::{Prompt, RequestError};

use super::Success;
use super::format::{GeneratedBody, NativeFormat};
use crate::auth::Caller;
use crate::body::{Endpoint, GenerationBody, Json, Parameters, PromptField, Wishes};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::generation::{Asked, collect, respond, start};
use crate::shared::Shared;

/// Continues a prompt; with `stream: true` as [`generate_stream`] does.
pub(crate) async fn generate(
    shared: web::Data<Shared>,
    exchange: Exchange,
    caller: Caller,
    wishes: Wishes,
    Json(mut body): Json<GenerationBody>,
) -> Result<HttpResponse, ApiError> {
    wishes.fill(&mut body);
    run(shared, exchange, caller, body).await
}

/// Continues a prompt, token by token.
pub(crate) async fn generate_stream(
    shared: web::Data<Shared>,
    exchange: Exchange,
    caller: Caller,
    wishes: Wishes,
    Json(mut body): Json<GenerationBody>,
) -> Result<HttpResponse, ApiError> {
    wishes.fill(&mut body);
    if body.stream == Some(false) {
        return Err(RequestError::invalid("stream", "stream is false; this endpoint always streams").into());
    }
    body.stream = Some(true);
    run(shared, exchange, caller, body).await
}

async fn run(
    shared: web::Data<Shared>,
    exchange: Exchange,
    caller: Caller,
    body: GenerationBody,
) -> Result<HttpResponse, ApiError> {
    let parameters = Parameters::read(&body, Endpoint::Native, shared.config.request_timeout, &exchange)?;
    let prompt = match body.prompt {
        Some(PromptField::Text(text)) => Prompt::Text(text),
        Some(PromptField::Tokens(tokens)) => Prompt::Tokens(tokens),
        Some(_) => return Err(RequestError::invalid("prompt", "prompt: this endpoint takes one prompt").into()),
        None => return Err(RequestError::invalid("prompt", "prompt is missing").into()),
    };
    let model = shared.model_id(body.model.as_deref())?;
    let stream = parameters.stream;
    let asked = Asked { model, prompts: vec![prompt], parameters, caller };

    let begun = start(&shared, &exchange, asked).await?;
    let format = NativeFormat::new(begun.id, begun.model.clone(), exchange.clone());
    if stream {
        return Ok(respond(shared, exchange, begun, false, format));
    }
    let (answers, tally) = collect(&shared, &exchange, begun).await?;
    let body = answers.first().map(|answer| GeneratedBody::new(&format, answer, &tally, exchange.elapsed()));
    Ok(HttpResponse::Ok().json(Success::new(body)))
}
