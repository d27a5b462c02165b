//! Why a request would go where it would go.

use actix_web::{HttpResponse, web};
use hostler_protocol::{GenerationRequest, Prompt, SessionId};
use serde::Deserialize;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::shared::Shared;

/// What a request that does not exist would say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supposed {
    /// Its model; it may be left out where only one is served.
    model: Option<String>,
    /// Its prompt, as plain text.
    #[serde(default)]
    prompt: String,
    /// Its `x-hostler-session`.
    session: Option<String>,
}

/// `GET /admin/route/explain?model=…&prompt=…&session=…`: what the router would choose
/// now, and why. Nothing is sent anywhere.
pub(crate) async fn explain(
    shared: web::Data<Shared>,
    _: Admin,
    supposed: web::Query<Supposed>,
) -> Result<HttpResponse, ApiError> {
    let Supposed { model, prompt, session } = supposed.into_inner();
    let model = shared.model_id(model.as_deref())?;
    let mut request = GenerationRequest::new(model, Prompt::Text(prompt));
    request.session = session.map(SessionId::new);
    Ok(HttpResponse::Ok().json(shared.router.explain(&request).await?))
}
