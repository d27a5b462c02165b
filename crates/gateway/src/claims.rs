//! Claims for an operator's own tools: made, kept alive, given back by their number.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use hostler_protocol::{ClaimDrain, ErrorCode, FencingToken, ModelId, RequestError, SchedulerId};
use hostler_router::{ClaimSelector, ClaimSpec};
use hostler_scheduler::{SchedulerSnapshot, SchedulerState};
use serde::{Deserialize, Serialize};

use crate::auth::Admin;
use crate::body::Json;
use crate::error::ApiError;
use crate::limits::{CLAIM_OWNER_BYTES_MAX, CLAIM_TTL_SECONDS};
use crate::shared::Shared;

/// The body of `POST /admin/claims`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClaimBody {
    scheduler: Option<SchedulerId>,
    model: Option<ModelId>,
    owner: Option<String>,
    ttl_seconds: f64,
    drain: ClaimDrain,
    min_serving: u32,
    force: bool,
    /// Whether to answer only when the scheduler is drained.
    wait: bool,
}

impl Default for ClaimBody {
    fn default() -> Self {
        Self {
            scheduler: None,
            model: None,
            owner: None,
            ttl_seconds: 30.0,
            drain: ClaimDrain::Wait,
            min_serving: 1,
            force: false,
            wait: false,
        }
    }
}

/// A claim, as it is shown.
#[derive(Serialize)]
pub(crate) struct ClaimShown {
    object: &'static str,
    token: FencingToken,
    scheduler: SchedulerId,
    model: ModelId,
    owner: String,
    ttl_seconds: f64,
    /// Since it was granted, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<f64>,
    /// Whether the scheduler has nothing of others any more.
    claimed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<f64>,
}

#[derive(Serialize)]
struct ClaimList {
    object: &'static str,
    data: Vec<ClaimShown>,
}

#[derive(Serialize)]
struct TokenBody {
    token: FencingToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<bool>,
}

/// `POST /admin/claims`: the claim is the client's to keep alive from here on. One that
/// leaves before it has been told the number has none.
pub(crate) async fn create(
    shared: web::Data<Shared>,
    admin: Admin,
    Json(body): Json<ClaimBody>,
) -> Result<HttpResponse, ApiError> {
    let owner = body.owner.unwrap_or_else(|| admin.tenant.to_string());
    if owner.is_empty() || owner.len() > CLAIM_OWNER_BYTES_MAX {
        let message = format!("owner has {} bytes; 1 to {CLAIM_OWNER_BYTES_MAX} are allowed", owner.len());
        return Err(RequestError::invalid("owner", message).into());
    }
    if !CLAIM_TTL_SECONDS.contains(&body.ttl_seconds) {
        let (least, most) = (CLAIM_TTL_SECONDS.start(), CLAIM_TTL_SECONDS.end());
        let message = format!("ttl_seconds is {}; {least} to {most} are allowed", body.ttl_seconds);
        return Err(RequestError::invalid("ttl_seconds", message).into());
    }
    let ttl = Duration::from_secs_f64(body.ttl_seconds);
    let selector = ClaimSelector { scheduler: body.scheduler, model: body.model };
    let spec = ClaimSpec {
        selector,
        owner: owner.clone(),
        ttl,
        drain: body.drain,
        min_serving: body.min_serving,
        force: body.force,
    };
    let lease = shared.router.claim(spec).await?;
    let drain = if body.wait { Some(lease.wait_until_claimed().await?) } else { None };
    let shown = ClaimShown {
        object: "claim",
        token: lease.token(),
        scheduler: lease.scheduler().id().clone(),
        model: lease.model().clone(),
        owner,
        ttl_seconds: body.ttl_seconds,
        age_seconds: None,
        claimed: drain.is_some(),
        drain_seconds: drain.map(|drain| drain.as_secs_f64()),
    };
    let FencingToken(token) = lease.hand_over();
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/admin/claims/{token}"))).json(shown))
}

/// `GET /admin/claims`: as the schedulers themselves say.
pub(crate) async fn list(shared: web::Data<Shared>, _: Admin) -> HttpResponse {
    let data = shared.router.schedulers().iter().filter_map(ClaimShown::of).collect();
    HttpResponse::Ok().json(ClaimList { object: "list", data })
}

impl ClaimShown {
    /// The claim on a scheduler, as the scheduler says.
    pub(crate) fn of(snapshot: &SchedulerSnapshot) -> Option<Self> {
        let claim = snapshot.claim.as_ref()?;
        Some(Self {
            object: "claim",
            token: claim.token,
            scheduler: snapshot.id.clone(),
            model: snapshot.model.clone(),
            owner: claim.owner.clone(),
            ttl_seconds: claim.ttl.as_secs_f64(),
            age_seconds: claim.granted.map(|granted| granted.elapsed().as_secs_f64()),
            claimed: snapshot.state == SchedulerState::Claimed,
            drain_seconds: None,
        })
    }
}

/// `DELETE /admin/claims/{token}`
pub(crate) async fn release(
    shared: web::Data<Shared>,
    _: Admin,
    token: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let token = read(&token)?;
    match shared.router.release_claim(token).await? {
        true => Ok(HttpResponse::Ok().json(TokenBody { token, renewed: None, released: Some(true) })),
        false => Err(ended(token).into()),
    }
}

/// `POST /admin/claims/{token}/heartbeat`
pub(crate) async fn heartbeat(
    shared: web::Data<Shared>,
    _: Admin,
    token: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let token = read(&token)?;
    match shared.router.heartbeat_claim(token).await? {
        true => Ok(HttpResponse::Ok().json(TokenBody { token, renewed: Some(true), released: None })),
        false => Err(ended(token).into()),
    }
}

fn read(token: &str) -> Result<FencingToken, RequestError> {
    token.parse().map(FencingToken).map_err(|_| {
        RequestError::invalid("token", "the number of a claim consists of digits; GET /admin/claims lists them")
    })
}

fn ended(FencingToken(token): FencingToken) -> RequestError {
    RequestError::new(ErrorCode::NotFound, format!("there is no claim {token} here: it has ended, or never was"))
}
