//! `POST /v1/completions`

use actix_web::{HttpResponse, web};
use hostler_protocol::{Prompt, RequestError};

use super::completions_format::CompletionFormat;
use crate::auth::Caller;
use crate::body::{Endpoint, GenerationBody, Json, Parameters, PromptField, Wishes};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::generation::{Asked, collect, respond, start};
use crate::limits::GENERATIONS_MAX;
use crate::shared::Shared;

/// Continues prompts.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    exchange: Exchange,
    caller: Caller,
    wishes: Wishes,
    Json(mut body): Json<GenerationBody>,
) -> Result<HttpResponse, ApiError> {
    wishes.fill(&mut body);
    let parameters = Parameters::read(&body, Endpoint::Completions, shared.config.request_timeout, &exchange)?;
    let prompts = prompts(body.prompt, parameters.n)?;
    let model = shared.model_id(body.model.as_deref())?;
    let (stream, include_usage) = (parameters.stream, parameters.include_usage);
    let asked = Asked { model, prompts, parameters, caller };

    let begun = start(&shared, &exchange, asked).await?;
    let format = CompletionFormat::new(begun.id, begun.model.clone(), include_usage);
    if stream {
        return Ok(respond(shared, exchange, begun, include_usage, format));
    }
    let (answers, tally) = collect(&shared, &exchange, begun).await?;
    Ok(HttpResponse::Ok().json(format.response(&answers, tally.usage())))
}

/// The prompts of the request, no more than may be answered `n` times each.
fn prompts(field: Option<PromptField>, n: u32) -> Result<Vec<Prompt>, RequestError> {
    let prompts: Vec<Prompt> = match field {
        None => return Err(RequestError::invalid("prompt", "prompt is missing")),
        Some(PromptField::Text(text)) => vec![Prompt::Text(text)],
        Some(PromptField::Tokens(tokens)) => vec![Prompt::Tokens(tokens)],
        Some(PromptField::Texts(texts)) => texts.into_iter().map(Prompt::Text).collect(),
        Some(PromptField::TokenLists(lists)) => lists.into_iter().map(Prompt::Tokens).collect(),
    };
    let answers = prompts.len().saturating_mul(n as usize);
    if answers > GENERATIONS_MAX as usize {
        return Err(RequestError::invalid(
            "prompt",
            format!(
                "{} prompts with n = {n} make {answers} answers; at most {GENERATIONS_MAX} are allowed",
                prompts.len()
            ),
        ));
    }
    Ok(prompts)
}
