//! Health, probes and metrics.

use actix_web::{HttpResponse, web};
use hostler_protocol::RequestError;
use hostler_telemetry::Exporter;
use serde::{Deserialize, Serialize};

use crate::http::bodies::Success;
use crate::http::error::ApiError;
use crate::http::state::AppState;

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    models: Vec<ModelHealth<'a>>,
}

#[derive(Serialize)]
struct ModelHealth<'a> {
    model: &'a str,
    ready: bool,
}

/// Shows the health of the server and its models, for people.
///
/// `degraded`: some models are not ready. The HTTP status is always 200; machines probe `/readyz`.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, description = "The health")))]
pub(crate) async fn health(state: web::Data<AppState>) -> HttpResponse {
    let models = state.router.models();
    let health = Health {
        status: match check_ready(&state, None) {
            Err(_) => "not_ready",
            Ok(()) if models.iter().all(|model| model.ready) => "ok",
            Ok(()) => "degraded",
        },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: state.started.elapsed().as_secs(),
        models: models.iter().map(|m| ModelHealth { model: m.model.as_str(), ready: m.ready }).collect(),
    };
    HttpResponse::Ok().json(Success::new(health))
}

#[derive(Serialize)]
struct ProbeBody {
    status: &'static str,
}

/// Responds while the process is alive.
///
/// It does not depend on engines, so a busy server is never restarted for being busy.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "The process is alive")))]
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(ProbeBody { status: "alive" })
}

/// What `/readyz` asks about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadyQuery {
    /// A served model; every model if there is none.
    model: Option<String>,
}

/// Says whether the server accepts new requests.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    params(("model" = Option<String>, Query, description = "Asks about this model only")),
    responses(
        (status = 200, description = "A model, or the given one, has a scheduler that accepts requests"),
        (status = 404, description = "The given model is not served"),
        (status = 503, description = "No model, or not the given one, is ready, or the server is shutting down")
    )
)]
pub(crate) async fn readyz(
    state: web::Data<AppState>,
    query: web::Query<ReadyQuery>,
) -> Result<HttpResponse, ApiError> {
    check_ready(&state, query.model.as_deref())?;
    Ok(HttpResponse::Ok().json(ProbeBody { status: "ready" }))
}

fn check_ready(state: &AppState, model: Option<&str>) -> Result<(), RequestError> {
    if state.is_leaving() {
        return Err(RequestError::shutting_down());
    }
    match model.map(|name| state.any_model(name)).transpose()? {
        Some(model) if !model.ready => {
            Err(RequestError::unavailable(format!("model {:?} is not ready", model.model.as_str())))
        }
        None if !state.router.is_ready() => Err(RequestError::unavailable("no model is ready")),
        _ => Ok(()),
    }
}

/// Exports the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "The metrics")))]
pub(crate) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    metrics_page(&state.exporter)
}

/// All metrics, in Prometheus' text format.
pub(super) fn metrics_page(exporter: &Exporter) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(exporter.render())
}
