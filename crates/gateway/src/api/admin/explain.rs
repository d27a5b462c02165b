//! `GET /admin/route/explain`

use actix_web::{HttpResponse, web};
use hostler_protocol::{GenerationRequest, Prompt, SessionId};
use serde::Deserialize;

use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// The request to explain, which is never sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    /// Its model; optional if only one is served.
    model: Option<String>,
    /// Its prompt, as plain text.
    #[serde(default)]
    prompt: String,
    /// Its `x-hostler-session`.
    session: Option<String>,
}

/// Shows which scheduler a request would be routed to, and why.
#[utoipa::path(
    get,
    path = "/admin/route/explain",
    tag = "admin",
    params(
        ("model" = Option<String>, Query, description = "Required if several models are served"),
        ("prompt" = Option<String>, Query, description = "The prompt, as plain text"),
        ("session" = Option<String>, Query, description = "The value of x-hostler-session")
    ),
    responses((status = 200, description = "The candidates and the choice among them")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn explain_route(
    state: web::Data<AppState>,
    caller: Caller,
    query: web::Query<ExplainQuery>,
) -> Result<HttpResponse, ApiError> {
    let ExplainQuery { model, prompt, session } = query.into_inner();
    let model = caller.model_id(&state, model.as_deref())?;
    let mut request = GenerationRequest::new(model, Prompt::Text(prompt));
    request.session = session.map(SessionId::new);
    Ok(HttpResponse::Ok().json(state.router.explain(&request).await?))
}
