//! `POST /tokenize` and `POST /detokenize`, in vLLM's shapes.

use actix_web::{HttpResponse, web};
use hostler_protocol::{Conversation, RequestError, TokenId};
use hostler_scheduler::TokenizeInput;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::limits::DETOKENIZE_TOKENS_MAX;
use crate::http::state::AppState;
use crate::request::{
    Json, Message, Object, ToolField, chat_tools, conversation, remove_system_lines, template_variables,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenizeBody {
    model: Option<String>,
    prompt: Option<String>,
    messages: Option<Vec<Object<Message>>>,
    tools: Option<Vec<Object<ToolField>>>,
    chat_template_kwargs: Option<Object<Map<String, Value>>>,
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

/// Tokenizes a text, or a conversation as the model reads it (vLLM).
#[utoipa::path(
    post,
    path = "/tokenize",
    tag = "vllm",
    responses((status = 200, description = "The tokens and their number")),
    security(("api_key" = []))
)]
pub(crate) async fn tokenize(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<TokenizeBody>,
) -> Result<HttpResponse, ApiError> {
    let (name, return_token_strs) = (body.model.clone(), body.return_token_strs.unwrap_or(false));
    let mut input = body.into_input(&context)?;
    if let TokenizeInput::Chat(chat) = &mut input {
        remove_system_lines(&mut chat.messages, &state.system_lines_removed);
    }
    let served = caller.model(&state, name.as_deref())?;
    let tokens = state.router.tokenize(&served.model, input).await?;
    let token_strs = if return_token_strs {
        let pieces = state.router.pieces(&served.model, tokens.clone()).await?;
        Some(pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect())
    } else {
        None
    };
    context.prompt_tokens.set(u32::try_from(tokens.len()).ok());
    let max_model_len = served.description.map(|description| description.context_length);
    Ok(HttpResponse::Ok().json(Tokenized { count: tokens.len(), max_model_len, tokens, token_strs }))
}

impl TokenizeBody {
    fn into_input(self, context: &RequestContext) -> Result<TokenizeInput, RequestError> {
        match (self.prompt, self.messages) {
            (_, None) if self.tools.is_some() => {
                Err(RequestError::invalid("tools", "tools: this field is only allowed with messages"))
            }
            (Some(text), None) => {
                Ok(TokenizeInput::Text { text, add_special: self.add_special_tokens.unwrap_or(true) })
            }
            (None, Some(_)) if self.add_special_tokens == Some(true) => Err(RequestError::invalid(
                "add_special_tokens",
                "add_special_tokens: the chat template determines the special tokens of a conversation",
            )),
            (None, Some(_)) if self.add_generation_prompt == Some(false) => {
                Err(RequestError::invalid("add_generation_prompt", "add_generation_prompt: only true is supported"))
            }
            (None, Some(messages)) => Ok(TokenizeInput::Chat(Conversation {
                messages: conversation(messages, context)?,
                tools: chat_tools(self.tools.as_deref(), None, None)?.for_template(),
                variables: template_variables(None, self.chat_template_kwargs.as_deref())?,
            })),
            (_, None) if self.chat_template_kwargs.is_some() => {
                Err(RequestError::invalid("chat_template_kwargs", "chat_template_kwargs is only allowed with messages"))
            }
            (None, None) => Err(RequestError::invalid("prompt", "prompt or messages is required")),
            (Some(_), Some(_)) => Err(RequestError::invalid("messages", "prompt and messages are mutually exclusive")),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetokenizeBody {
    #[serde(default)]
    model: Option<String>,
    tokens: Vec<TokenId>,
    /// As in transformers: by default, special tokens are kept as their names.
    #[serde(default)]
    skip_special_tokens: Option<bool>,
}

#[derive(Serialize)]
struct Detokenized {
    prompt: String,
}

/// Converts tokens to text (vLLM).
#[utoipa::path(
    post,
    path = "/detokenize",
    tag = "vllm",
    responses((status = 200, description = "The text")),
    security(("api_key" = []))
)]
pub(crate) async fn detokenize(
    state: web::Data<AppState>,
    caller: Caller,
    Json(body): Json<DetokenizeBody>,
) -> Result<HttpResponse, ApiError> {
    if body.tokens.len() > DETOKENIZE_TOKENS_MAX {
        return Err(RequestError::invalid(
            "tokens",
            format!("tokens has {} ids; at most {DETOKENIZE_TOKENS_MAX} are allowed", body.tokens.len()),
        )
        .into());
    }
    let model = caller.model_id(&state, body.model.as_deref())?;
    let prompt = if body.skip_special_tokens.unwrap_or(false) {
        state.router.detokenize(&model, body.tokens).await?
    } else {
        let pieces = state.router.pieces(&model, body.tokens).await?;
        String::from_utf8_lossy(&pieces.concat()).into_owned()
    };
    Ok(HttpResponse::Ok().json(Detokenized { prompt }))
}
