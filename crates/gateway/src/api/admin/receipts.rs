//! `GET /admin/receipts`

use actix_web::{HttpResponse, web};
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::Receipt;
use serde::Deserialize;

use crate::generation::{choice_ids, response_id};
use crate::http::bodies::List;
use crate::http::error::ApiError;
use crate::http::state::AppState;

/// Receipts in a list that names no limit: a screen or two.
const LIMIT_DEFAULT: usize = 20;

/// Which receipts to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptsQuery {
    /// Most receipts.
    limit: Option<usize>,
}

/// Lists what was decided for the latest requests and how they ended.
#[utoipa::path(
    get,
    path = "/admin/receipts",
    tag = "admin",
    params(("limit" = Option<usize>, Query, description = "Most receipts; 20 if it is missing")),
    responses((status = 200, description = "The receipts, the latest first")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn list_receipts(state: web::Data<AppState>, query: web::Query<ReceiptsQuery>) -> HttpResponse {
    let list: List<_> = state.router.receipts(query.limit.unwrap_or(LIMIT_DEFAULT)).into_iter().collect();
    HttpResponse::Ok().json(list)
}

/// Shows what was decided for one request and how it ended.
///
/// The id is the one in its response, with or without the prefix. A request for several answers
/// has a receipt for each.
#[utoipa::path(
    get,
    path = "/admin/receipts/{id}",
    tag = "admin",
    params(("id" = String, Path, description = "The id in the request's response")),
    responses((status = 200, description = "The request's receipts")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn get_receipts(state: web::Data<AppState>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let request = response_id(&id)?;
    let receipts: Vec<Receipt> = choice_ids(request).filter_map(|id| state.router.receipt(id)).collect();
    if receipts.is_empty() {
        let message = "there is no receipt with this id: the request still runs, or is one of those forgotten beyond \
                       router.receipts_max";
        return Err(RequestError { param: Some("id".into()), ..RequestError::new(ErrorCode::NotFound, message) }.into());
    }
    Ok(HttpResponse::Ok().json(receipts.into_iter().collect::<List<_>>()))
}
