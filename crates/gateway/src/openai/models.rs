//! `GET /v1/models` and `GET /v1/models/{id}`

use actix_web::{HttpResponse, web};
use hostler_protocol::Engine;
use hostler_router::ServedModel;
use serde::Serialize;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::shared::Shared;

/// A model, with what OpenAI's shape has no field for under `metadata`.
#[derive(Serialize)]
struct ModelBody<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    /// `hostler`, or `hostler-simulated` for a model that is none.
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

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ModelBody<'a>>,
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

/// Lists the models, those that are still loading too.
pub(crate) async fn list(shared: web::Data<Shared>, _: Caller) -> HttpResponse {
    let models = shared.router.models();
    let data = models.iter().map(|served| ModelBody::new(served, shared.started_unix)).collect();
    HttpResponse::Ok().json(ModelList { object: "list", data })
}

/// One model. Its name may contain slashes.
pub(crate) async fn get(shared: web::Data<Shared>, _: Caller, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let served = shared.model(Some(&id))?;
    Ok(HttpResponse::Ok().json(ModelBody::new(&served, shared.started_unix)))
}
