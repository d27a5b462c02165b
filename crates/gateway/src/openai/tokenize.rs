//! `POST /tokenize` and `POST /detokenize`, in vLLM's shapes.

use actix_web::{HttpResponse, web};
use hostler_protocol::{RequestError, TokenId};
use hostler_scheduler::TokenizeInput;
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::body::{Json, Message, Object, conversation};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::limits::DETOKENIZE_TOKENS_MAX;
use crate::shared::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenizeBody {
    model: Option<String>,
    prompt: Option<String>,
    messages: Option<Vec<Object<Message>>>,
    add_special_tokens: Option<bool>,
    add_generation_prompt: Option<bool>,
    return_token_strs: Option<bool>,
}

#[derive(Serialize)]
struct Tokenized {
    count: usize,
    max_model_len: Option<u32>,
    tokens: Vec<TokenId>,
    token_strs: Option<Vec<String>>,
}

/// The tokens of a text, or of a conversation as the model would read it.
pub(crate) async fn tokenize(
    shared: web::Data<Shared>,
    exchange: Exchange,
    _: Caller,
    Json(body): Json<TokenizeBody>,
) -> Result<HttpResponse, ApiError> {
    let input = input(&exchange, body.prompt, body.messages, body.add_special_tokens, body.add_generation_prompt)?;
    let served = shared.model(body.model.as_deref())?;
    let tokens = shared.router.tokenize(&served.model, input).await?;
    let token_strs = if body.return_token_strs.unwrap_or(false) {
        let pieces = shared.router.pieces(&served.model, tokens.clone()).await?;
        Some(pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect())
    } else {
        None
    };
    exchange.prompt_tokens.set(u32::try_from(tokens.len()).ok());
    let max_model_len = served.description.map(|description| description.context_length);
    Ok(HttpResponse::Ok().json(Tokenized { count: tokens.len(), max_model_len, tokens, token_strs }))
}

fn input(
    exchange: &Exchange,
    prompt: Option<String>,
    messages: Option<Vec<Object<Message>>>,
    add_special_tokens: Option<bool>,
    add_generation_prompt: Option<bool>,
) -> Result<TokenizeInput, RequestError> {
    match (prompt, messages) {
        (Some(text), None) => Ok(TokenizeInput::Text { text, add_special: add_special_tokens.unwrap_or(true) }),
        (None, Some(_)) if add_special_tokens == Some(true) => Err(RequestError::invalid(
            "add_special_tokens",
            "add_special_tokens: the chat template alone decides on special tokens",
        )),
        (None, Some(_)) if add_generation_prompt == Some(false) => {
            Err(RequestError::invalid("add_generation_prompt", "add_generation_prompt: only true is supported"))
        }
        (None, Some(messages)) => Ok(TokenizeInput::Chat(conversation(messages, exchange)?)),
        (None, None) => Err(RequestError::invalid("prompt", "prompt or messages is needed")),
        (Some(_), Some(_)) => Err(RequestError::invalid("messages", "prompt and messages exclude each other")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetokenizeBody {
    #[serde(default)]
    model: Option<String>,
    tokens: Vec<TokenId>,
}

#[derive(Serialize)]
struct Detokenized {
    prompt: String,
}

/// The text of tokens.
pub(crate) async fn detokenize(
    shared: web::Data<Shared>,
    _: Caller,
    Json(body): Json<DetokenizeBody>,
) -> Result<HttpResponse, ApiError> {
    if body.tokens.len() > DETOKENIZE_TOKENS_MAX {
        return Err(RequestError::invalid(
            "tokens",
            format!("tokens has {} ids; at most {DETOKENIZE_TOKENS_MAX} are allowed", body.tokens.len()),
        )
        .into());
    }
    let model = shared.model_id(body.model.as_deref())?;
    let prompt = shared.router.detokenize(&model, body.tokens).await?;
    Ok(HttpResponse::Ok().json(Detokenized { prompt }))
}
