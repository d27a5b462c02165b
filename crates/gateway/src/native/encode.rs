//! `POST /encode`

use actix_web::{HttpResponse, web};
use hostler_protocol::TokenId;
use hostler_scheduler::TokenizeInput;
use serde::{Deserialize, Serialize};

use super::Success;
use crate::auth::Caller;
use crate::body::Json;
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::shared::Shared;

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

/// The tokens of a text, and how many they are.
pub(crate) async fn encode(
    shared: web::Data<Shared>,
    exchange: Exchange,
    _: Caller,
    Json(body): Json<EncodeBody>,
) -> Result<HttpResponse, ApiError> {
    let model = shared.model_id(body.model.as_deref())?;
    let input = TokenizeInput::Text { text: body.text, add_special: body.add_special_tokens.unwrap_or(true) };
    let tokens = shared.router.tokenize(&model, input).await?;
    exchange.prompt_tokens.set(u32::try_from(tokens.len()).ok());
    Ok(HttpResponse::Ok().json(Success::new(Encoded { length: tokens.len(), tokens })))
}
