//! `POST /v1/embeddings`

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hostler_protocol::{EmbeddingInput, EmbeddingRequest, ErrorCode, ModelId, RequestError};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::limits::EMBEDDING_INPUTS_MAX;
use crate::http::state::AppState;
use crate::request::{Json, Present, PromptField, whole};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbeddingsBody {
    #[serde(default)]
    model: Option<String>,
    input: PromptField,
    #[serde(default)]
    encoding_format: Option<EncodingFormat>,
    #[serde(default, deserialize_with = "whole")]
    dimensions: Option<u32>,
    #[serde(default)]
    user: Present,
}

/// How vectors are written. OpenAI's client requests `base64` by default, because it is a third
/// of the size.
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

/// Embeds texts as vectors (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "openai",
    responses((status = 200, description = "One vector per text")),
    security(("api_key" = []))
)]
pub(crate) async fn embeddings(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<EmbeddingsBody>,
) -> Result<HttpResponse, ApiError> {
    if body.user.0 {
        context.ignore("user");
    }
    let inputs = inputs(body.input)?;
    let model = caller.model(&state, body.model.as_deref())?;
    let dimensions = model.description.as_ref().map(|description| description.capabilities.embedding_dimensions);
    check_dimensions(body.dimensions, dimensions)?;
    let format = body.encoding_format.unwrap_or_default();
    let model = model.model;
    let limit = state.config.request_timeout;
    let request = EmbeddingRequest { tenant: caller.tenant().clone(), inputs };
    let answer = timeout(limit, state.router.embed(&model, request)).await.map_err(|_| {
        let message = format!("the embeddings were not complete within {} s", limit.as_secs_f64());
        RequestError::new(ErrorCode::DeadlineExceeded, message)
    })??;
    context.accepted_by(&answer.scheduler, &answer.description);
    context.prompt_tokens.set(Some(answer.embeddings.prompt_tokens));
    let (mut embeddings, dimensions) = (answer.embeddings, body.dimensions);
    let numbers: usize = embeddings.vectors.iter().map(Vec::len).sum();
    let write = move || {
        if let Some(dimensions) = dimensions {
            let shorten = |vector| shortened(vector, dimensions as usize);
            embeddings.vectors = embeddings.vectors.into_iter().map(shorten).collect();
        }
        serde_json::to_vec(&list(&model, embeddings, format))
    };
    let written = state.large_bodies.run(caller.tenant(), numbers * size_of::<f32>(), write).await?;
    let json = written.map_err(|error| RequestError::new(ErrorCode::Internal, error.to_string()))?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(json))
}

/// The texts of the request, whose number is limited.
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

/// Refuses more dimensions than the model has. `model` is their number, if the model is loaded
/// and makes embeddings.
fn check_dimensions(requested: Option<u32>, model: Option<Option<u32>>) -> Result<(), RequestError> {
    let invalid = |message| Err(RequestError::invalid("dimensions", message));
    match (requested, model.flatten()) {
        (Some(0), _) => invalid("dimensions is 0; it must be at least 1".to_owned()),
        (Some(requested), Some(model)) if requested > model => {
            invalid(format!("dimensions is {requested}; this model's vectors have {model} numbers"))
        }
        _ => Ok(()),
    }
}

/// The first numbers of a vector, scaled to a length of 1, as OpenAI shortens vectors.
fn shortened(mut vector: Vec<f32>, dimensions: usize) -> Vec<f32> {
    if dimensions < vector.len() {
        vector.truncate(dimensions);
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|number| *number /= length);
        }
    }
    vector
}

fn list(model: &ModelId, embeddings: hostler_protocol::Embeddings, format: EncodingFormat) -> EmbeddingList<'_> {
    let write = |vector: Vec<f32>| match format {
        EncodingFormat::Float => Vector::Numbers(vector),
        EncodingFormat::Base64 => {
            let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
            Vector::Base64(BASE64_STANDARD.encode(bytes))
        }
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
