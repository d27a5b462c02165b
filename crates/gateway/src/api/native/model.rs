//! `GET /model/info` and `POST /encode`: the model, and its tokenizer.

use actix_web::{HttpRequest, HttpResponse, web};
use hostler_protocol::{ModelDescription, RequestError, TokenId};
use hostler_scheduler::TokenizeInput;
use serde::{Deserialize, Serialize};

use crate::http::auth::Caller;
use crate::http::bodies::Success;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::request::Json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelInfoQuery {
    model: Option<String>,
}

#[derive(Serialize)]
struct ModelInfo<'a> {
    model: &'a str,
    ready: bool,
    /// `null` until the model is loaded.
    description: Option<&'a ModelDescription>,
}

/// Describes a model and its capabilities.
#[utoipa::path(
    get,
    path = "/model/info",
    tag = "native",
    params(("model" = Option<String>, Query, description = "Required if several models are served")),
    responses((status = 200, description = "The model's description")),
    security(("api_key" = []))
)]
pub(crate) async fn model_info(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = web::Query::<ModelInfoQuery>::from_query(request.query_string())
        .map_err(|error| RequestError::invalid("model", format!("the query is invalid: {error}")))?;
    let served = caller.model(&state, query.model.as_deref())?;
    let info =
        ModelInfo { model: served.model.as_str(), ready: served.ready, description: served.description.as_deref() };
    Ok(HttpResponse::Ok().json(Success::new(info)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EncodeBody {
    text: String,
    #[serde(default)]
    model: Option<String>,
    /// Whether to add a beginning-of-sequence token and the like.
    #[serde(default)]
    add_special_tokens: Option<bool>,
}

#[derive(Serialize)]
struct Encoded {
    length: usize,
    tokens: Vec<TokenId>,
}

/// Tokenizes a text.
#[utoipa::path(
    post,
    path = "/encode",
    tag = "native",
    responses((status = 200, description = "The tokens and their number")),
    security(("api_key" = []))
)]
pub(crate) async fn encode(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<EncodeBody>,
) -> Result<HttpResponse, ApiError> {
    let model = caller.model_id(&state, body.model.as_deref())?;
    let input = TokenizeInput::Text { text: body.text, add_special: body.add_special_tokens.unwrap_or(true) };
    let tokens = state.router.tokenize(&model, caller.tenant(), input).await?;
    context.prompt_tokens.set(u32::try_from(tokens.len()).ok());
    Ok(HttpResponse::Ok().json(Success::new(Encoded { length: tokens.len(), tokens })))
}
