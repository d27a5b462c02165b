//! `POST /v1/embeddings`

use actix_web::{HttpResponse, web};
use hostler_protocol::{EmbeddingInput, ErrorCode, ModelId, RequestError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::base64;
use crate::auth::Caller;
use crate::body::{Given, Json, PromptField};
use crate::error::ApiError;
use crate::exchange::Exchange;
use crate::limits::EMBEDDING_INPUTS_MAX;
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingsBody {
    #[serde(default)]
    model: Option<String>,
    input: PromptField,
    #[serde(default)]
    encoding_format: Option<EncodingFormat>,
    #[serde(default)]
    dimensions: Option<u32>,
    #[serde(default)]
    user: Given,
}

/// How vectors are written. OpenAI's own client asks for `base64` unless it is told
/// otherwise, because it is a third of the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EncodingFormat {
    /// An array of numbers.
    #[default]
    Float,
    /// The numbers as 32-bit floats, little-endian, in base64.
    Base64,
}

#[derive(Serialize)]
struct EmbeddingList<'a> {
    object: &'static str,
    data: Vec<EmbeddingBody>,
    model: &'a str,
    usage: EmbeddingUsage,
}

#[derive(Serialize)]
struct EmbeddingBody {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct EmbeddingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// One vector for each text.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    exchange: Exchange,
    _: Caller,
    Json(body): Json<EmbeddingsBody>,
) -> Result<HttpResponse, ApiError> {
    if body.user.0 {
        exchange.ignore("user");
    }
    let inputs = inputs(body.input)?;
    let model = shared.model(body.model.as_deref())?;
    let made = model.description.as_ref().map(|description| description.capabilities.embedding_dimensions);
    check_dimensions(body.dimensions, made)?;
    let format = body.encoding_format.unwrap_or_default();
    let model = model.model;
    let limit = shared.config.request_timeout;
    let answer = timeout(limit, shared.router.embed(&model, inputs)).await.map_err(|_| {
        let message = format!("the embeddings were not there after {} s", limit.as_secs_f64());
        RequestError::new(ErrorCode::DeadlineExceeded, message)
    })??;
    exchange.taken_by(&answer.scheduler, &answer.description);
    exchange.prompt_tokens.set(Some(answer.embeddings.prompt_tokens));
    Ok(HttpResponse::Ok().json(list(&model, answer.embeddings, format)))
}

/// The texts of the request, as many as one may have.
fn inputs(field: PromptField) -> Result<Vec<EmbeddingInput>, RequestError> {
    let inputs: Vec<EmbeddingInput> = match field {
        PromptField::Text(text) => vec![EmbeddingInput::Text(text)],
        PromptField::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
        PromptField::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
        PromptField::TokenLists(lists) => lists.into_iter().map(EmbeddingInput::Tokens).collect(),
    };
    let count = inputs.len();
    if count > EMBEDDING_INPUTS_MAX {
        let message = format!("input has {count} texts; at most {EMBEDDING_INPUTS_MAX} are allowed");
        return Err(RequestError::invalid("input", message));
    }
    Ok(inputs)
}

/// A vector cannot be cut without making it a worse one, so only the model's own
/// number of dimensions may be asked for. `made`: those, if the model is loaded.
fn check_dimensions(asked: Option<u32>, made: Option<Option<u32>>) -> Result<(), RequestError> {
    match (asked, made) {
        (None, _) | (_, None | Some(None)) => Ok(()),
        (Some(asked), Some(Some(made))) if asked == made => Ok(()),
        (Some(asked), Some(Some(made))) => Err(RequestError::invalid(
            "dimensions",
            format!("dimensions is {asked}; this model makes vectors of {made} numbers, and they are not shortened"),
        )),
    }
}

fn list(model: &ModelId, embeddings: hostler_protocol::Embeddings, format: EncodingFormat) -> EmbeddingList<'_> {
    let write = |vector: Vec<f32>| match format {
        EncodingFormat::Float => Vector::Numbers(vector),
        EncodingFormat::Base64 => Vector::Base64(base64::encode(vector.into_iter().flat_map(f32::to_le_bytes))),
    };
    let vectors = embeddings.vectors.into_iter().enumerate();
    EmbeddingList {
        object: "list",
        data: vectors
            .map(|(index, vector)| EmbeddingBody { object: "embedding", index, embedding: write(vector) })
            .collect(),
        model: model.as_str(),
        usage: EmbeddingUsage { prompt_tokens: embeddings.prompt_tokens, total_tokens: embeddings.prompt_tokens },
    }
}
