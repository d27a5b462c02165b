//! For operators and their machines: health, metrics, schedulers.

use actix_web::{HttpResponse, web};
use hostler_protocol::{ErrorCode, FencingToken, Priority, RequestError};
use hostler_scheduler::SchedulerSnapshot;
use hostler_telemetry::Exporter;
use serde::Serialize;

use crate::auth::Admin;
use crate::error::ApiError;
use crate::native::Success;
use crate::routes::{ENDPOINTS, Endpoint};
use crate::shared::Shared;
use crate::timing::milliseconds;

#[derive(Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    endpoints: &'static [Endpoint],
}

/// `GET /`
pub(crate) async fn index() -> HttpResponse {
    let index = Index { name: "hostler", version: env!("CARGO_PKG_VERSION"), endpoints: ENDPOINTS };
    HttpResponse::Ok().json(Success::new(index))
}

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

/// `GET /health`: for people. Always 200; what machines ask is `/readyz`.
pub(crate) async fn health(shared: web::Data<Shared>) -> HttpResponse {
    let models = shared.router.models();
    let health = Health {
        status: if ready(&shared).is_ok() { "ok" } else { "not_ready" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: shared.started.elapsed().as_secs(),
        models: models.iter().map(|m| ModelHealth { model: m.model.as_str(), ready: m.ready }).collect(),
    };
    HttpResponse::Ok().json(Success::new(health))
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// `GET /livez`: whether the process still answers. It asks nothing of engines,
/// so a busy server is never restarted for being busy.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Status { status: "alive" })
}

/// `GET /readyz`: whether new requests should come here.
pub(crate) async fn readyz(shared: web::Data<Shared>) -> Result<HttpResponse, ApiError> {
    ready(&shared)?;
    Ok(HttpResponse::Ok().json(Status { status: "ready" }))
}

fn ready(shared: &Shared) -> Result<(), RequestError> {
    let reason = if shared.is_leaving() {
        "the server is shutting down"
    } else if !shared.router.is_ready() {
        "not every model is ready to serve"
    } else {
        return Ok(());
    };
    Err(RequestError::new(ErrorCode::Unavailable, reason))
}

/// `GET /metrics`
pub(crate) async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    metrics_page(&shared.exporter)
}

/// Everything that was recorded, in Prometheus' text format.
pub(crate) fn metrics_page(exporter: &Exporter) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(exporter.render())
}

#[derive(Serialize)]
struct SchedulerList {
    object: &'static str,
    data: Vec<SchedulerBody>,
}

/// A snapshot with its times in milliseconds and its queue by class.
#[derive(Serialize)]
pub(crate) struct SchedulerBody {
    id: String,
    model: String,
    state: &'static str,
    engine: Option<&'static str>,
    device: Option<String>,
    batch_size_max: u32,
    running: u32,
    waiting: WaitingBody,
    kv_reserved_tokens: u64,
    kv_capacity_tokens: Option<u64>,
    outstanding_tokens: u64,
    estimated_wait_ms: f64,
    steps: u64,
    since_last_step_ms: f64,
    restarts: u32,
    failure: Option<String>,
    claim: Option<ClaimBody>,
}

/// Who has a scheduler, or will once it is drained.
#[derive(Serialize)]
struct ClaimBody {
    token: FencingToken,
    owner: String,
    ttl_seconds: f64,
}

#[derive(Serialize)]
struct WaitingBody {
    interactive: u32,
    default: u32,
    batch: u32,
}

impl From<SchedulerSnapshot> for SchedulerBody {
    fn from(snapshot: SchedulerSnapshot) -> Self {
        let waiting = |class: Priority| {
            let index = Priority::ALL.iter().position(|&other| other == class);
            index.map_or(0, |index| snapshot.waiting[index])
        };
        let description = snapshot.description.as_deref();
        Self {
            id: snapshot.id.as_str().to_owned(),
            model: snapshot.model.as_str().to_owned(),
            state: snapshot.state.as_str(),
            engine: description.map(|description| description.engine.as_str()),
            device: description.map(|description| description.device.clone()),
            batch_size_max: snapshot.batch_size_max,
            running: snapshot.running,
            waiting: WaitingBody {
                interactive: waiting(Priority::Interactive),
                default: waiting(Priority::Default),
                batch: waiting(Priority::Batch),
            },
            kv_reserved_tokens: snapshot.kv_reserved_tokens,
            kv_capacity_tokens: description.map(|description| description.kv_capacity_tokens),
            outstanding_tokens: snapshot.outstanding_tokens,
            estimated_wait_ms: milliseconds(snapshot.estimated_wait),
            steps: snapshot.steps,
            since_last_step_ms: milliseconds(snapshot.since_last_step),
            restarts: snapshot.restarts,
            failure: snapshot.failure,
            claim: snapshot.claim.map(|claim| ClaimBody {
                token: claim.token,
                owner: claim.owner,
                ttl_seconds: claim.ttl.as_secs_f64(),
            }),
        }
    }
}

/// `GET /admin/schedulers`
pub(crate) async fn schedulers(shared: web::Data<Shared>, _: Admin) -> HttpResponse {
    let data = shared.router.schedulers().into_iter().map(SchedulerBody::from).collect();
    HttpResponse::Ok().json(SchedulerList { object: "list", data })
}
