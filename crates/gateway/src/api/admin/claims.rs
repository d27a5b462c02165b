//! Claims for an operator's own tools: created, kept alive and released by their token.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use hostler_protocol::{ClaimDrain, ErrorCode, FencingToken, ModelId, RequestError, SchedulerId};
use hostler_router::{ClaimSelector, ClaimSpec};
use serde::{Deserialize, Serialize};

use super::types::ClaimBody;
use crate::http::auth::Caller;
use crate::http::bodies::List;
use crate::http::error::ApiError;
use crate::http::limits::{CLAIM_OWNER_BYTES_MAX, CLAIM_TTL_SECONDS};
use crate::http::state::AppState;
use crate::request::Json;

/// The body of `POST /admin/claims`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CreateClaimBody {
    scheduler: Option<SchedulerId>,
    model: Option<ModelId>,
    owner: Option<String>,
    ttl_seconds: f64,
    drain: ClaimDrain,
    min_serving: u32,
    force: bool,
    /// Whether to respond only after the scheduler has been drained.
    wait: bool,
}

impl Default for CreateClaimBody {
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

#[derive(Serialize)]
struct TokenBody {
    token: FencingToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<bool>,
}

/// Claims a scheduler.
///
/// From the response on, the client must keep the claim alive. If the client disconnects before
/// it has received the token, the claim is released.
#[utoipa::path(
    post,
    path = "/admin/claims",
    tag = "admin",
    responses((status = 201, description = "The claim")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn create_claim(
    state: web::Data<AppState>,
    caller: Caller,
    Json(body): Json<CreateClaimBody>,
) -> Result<HttpResponse, ApiError> {
    let owner = body.owner.unwrap_or_else(|| caller.tenant().to_string());
    if owner.is_empty() || owner.len() > CLAIM_OWNER_BYTES_MAX {
        let message = format!("owner has {} bytes; 1 to {CLAIM_OWNER_BYTES_MAX} are allowed", owner.len());
        return Err(RequestError::invalid("owner", message).into());
    }
    if !CLAIM_TTL_SECONDS.contains(&body.ttl_seconds) {
        let (least, most) = (CLAIM_TTL_SECONDS.start(), CLAIM_TTL_SECONDS.end());
        let message = format!("ttl_seconds is {}; {least} to {most} are allowed", body.ttl_seconds);
        return Err(RequestError::invalid("ttl_seconds", message).into());
    }
    let spec = ClaimSpec {
        selector: ClaimSelector { scheduler: body.scheduler, model: body.model },
        owner: owner.clone(),
        ttl: Duration::from_secs_f64(body.ttl_seconds),
        drain: body.drain,
        min_serving: body.min_serving,
        force: body.force,
    };
    let lease = state.router.claim(spec).await?;
    let drain = if body.wait { Some(lease.wait_until_claimed().await?) } else { None };
    let claim = ClaimBody {
        object: "claim",
        token: lease.token().0,
        scheduler: lease.scheduler().id().to_string(),
        model: lease.model().to_string(),
        owner,
        ttl_seconds: body.ttl_seconds,
        age_seconds: None,
        claimed: drain.is_some(),
        drain_seconds: drain.map(|drain| drain.as_secs_f64()),
    };
    let FencingToken(token) = lease.hand_over();
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/admin/claims/{token}"))).json(claim))
}

/// Lists the claims, as the schedulers report them.
#[utoipa::path(
    get,
    path = "/admin/claims",
    tag = "admin",
    responses((status = 200, description = "The claims")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn list_claims(state: web::Data<AppState>) -> HttpResponse {
    let list: List<_> = state.router.schedulers().iter().filter_map(ClaimBody::of).collect();
    HttpResponse::Ok().json(list)
}

/// Releases a claim.
#[utoipa::path(
    delete,
    path = "/admin/claims/{token}",
    tag = "admin",
    params(("token" = u64, Path, description = "The claim's token")),
    responses((status = 200, description = "The claim has been released")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn release_claim(
    state: web::Data<AppState>,
    token: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let token = parse_token(&token)?;
    match state.router.release_claim(token).await? {
        true => Ok(HttpResponse::Ok().json(TokenBody { token, renewed: None, released: Some(true) })),
        false => Err(no_claim(token).into()),
    }
}

/// Keeps a claim alive.
#[utoipa::path(
    post,
    path = "/admin/claims/{token}/heartbeat",
    tag = "admin",
    params(("token" = u64, Path, description = "The claim's token")),
    responses((status = 200, description = "The claim has been renewed")),
    security(("api_key" = ["operator"]))
)]
pub(crate) async fn renew_claim(
    state: web::Data<AppState>,
    token: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let token = parse_token(&token)?;
    match state.router.heartbeat_claim(token).await? {
        true => Ok(HttpResponse::Ok().json(TokenBody { token, renewed: Some(true), released: None })),
        false => Err(no_claim(token).into()),
    }
}

fn parse_token(token: &str) -> Result<FencingToken, RequestError> {
    token.parse().map(FencingToken).map_err(|_| {
        RequestError::invalid("token", "the token of a claim is a number; GET /admin/claims lists the claims")
    })
}

fn no_claim(FencingToken(token): FencingToken) -> RequestError {
    RequestError::new(ErrorCode::NotFound, format!("claim {token} does not exist or has ended"))
}
