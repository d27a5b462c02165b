//! `POST /v1/messages/count_tokens`

use actix_web::{HttpResponse, web};
use hostler_scheduler::TokenizeInput;
use serde::Serialize;

use super::body::MessagesBody;
use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::request::{Json, remove_system_lines};

#[derive(Serialize)]
struct Counted {
    input_tokens: usize,
}

/// Counts the tokens of a conversation as the model reads it (Anthropic).
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "anthropic",
    responses((status = 200, description = "The number of tokens"))
)]
pub(crate) async fn count_tokens(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<MessagesBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, _, mut conversation) = body.into_conversation(&context)?;
    let model = caller.model_id(&state, body.model.as_deref())?;
    remove_system_lines(&mut conversation.messages, &state.system_lines_removed);
    let tokens = state.router.tokenize(&model, TokenizeInput::Chat(conversation)).await?;
    context.prompt_tokens.set(u32::try_from(tokens.len()).ok());
    Ok(HttpResponse::Ok().json(Counted { input_tokens: tokens.len() }))
}
