//! `GET /model/info`

use actix_web::{HttpRequest, HttpResponse, web};
use hostler_protocol::{ModelDescription, RequestError};
use serde::{Deserialize, Serialize};

use super::Success;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    model: Option<String>,
}

#[derive(Serialize)]
struct ModelInfo<'a> {
    model: &'a str,
    ready: bool,
    /// `null` until the model is loaded.
    description: Option<&'a ModelDescription>,
}

/// What the model is and what it can do; `?model=` where several are served.
pub(crate) async fn model_info(
    shared: web::Data<Shared>,
    _: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| RequestError::invalid("model", format!("the query cannot be read: {error}")))?;
    let served = shared.model(query.model.as_deref())?;
    let info =
        ModelInfo { model: served.model.as_str(), ready: served.ready, description: served.description.as_deref() };
    Ok(HttpResponse::Ok().json(Success::new(info)))
}
