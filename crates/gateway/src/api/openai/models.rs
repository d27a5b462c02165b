//! `GET /v1/models` and `GET /v1/models/{id}`

use actix_web::{HttpResponse, web};
use hostler_protocol::Engine;
use hostler_router::ServedModel;
use serde::Serialize;

use crate::http::auth::Caller;
use crate::http::bodies::List;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// A model in OpenAI's shape; `metadata` has what that has no field for.
#[derive(Serialize)]
struct ModelBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    /// `hostler`, or `hostler-simulated` for the simulated engine.
    owned_by: &'static str,
    /// vLLM's name for the context length.
    max_model_len: Option<u32>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    ready: bool,
    engine: Option<&'static str>,
    simulated: Option<bool>,
    device: Option<&'a str>,
    weight_format: Option<&'a str>,
    context_length: Option<u32>,
}

impl<'a> ModelBody<'a> {
    fn new(served: &'a ServedModel, created: u64) -> Self {
        let description = served.description.as_deref();
        let simulated = description.map(|description| description.engine == Engine::Simulated);
        Self {
            id: served.model.as_str(),
            object: "model",
            created,
            owned_by: if simulated == Some(true) { "hostler-simulated" } else { "hostler" },
            max_model_len: description.map(|description| description.context_length),
            metadata: Metadata {
                ready: served.ready,
                engine: description.map(|description| description.engine.as_str()),
                simulated,
                device: description.map(|description| description.device.as_str()),
                weight_format: description.map(|description| description.weight_format.as_str()),
                context_length: description.map(|description| description.context_length),
            },
        }
    }
}

/// Lists the models, including those that are still loading.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "openai",
    responses((status = 200, description = "The models")),
    security(("api_key" = []))
)]
pub(crate) async fn list_models(state: web::Data<AppState>, caller: Caller) -> HttpResponse {
    let models = caller.models(&state);
    let list: List<_> = models.iter().map(|served| ModelBody::new(served, state.started_unix)).collect();
    HttpResponse::Ok().json(list)
}

/// Describes one model.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The model's name, which may contain slashes")),
    responses((status = 200, description = "The model")),
    security(("api_key" = []))
)]
pub(crate) async fn get_model(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let served = caller.model(&state, Some(&id))?;
    Ok(HttpResponse::Ok().json(ModelBody::new(&served, state.started_unix)))
}
