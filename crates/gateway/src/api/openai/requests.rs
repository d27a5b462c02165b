//! `DELETE /v1/requests/{id}`

use actix_web::{HttpResponse, web};
use futures::future::join_all;
use hostler_protocol::{ErrorCode, RequestError, RequestId};
use serde::Serialize;

use crate::generation::choice_ids;
use crate::http::error::ApiError;
use crate::http::state::AppState;

#[derive(Serialize)]
struct Cancelled<'a> {
    id: &'a str,
    object: &'static str,
    cancelled: bool,
}

/// Cancels all generations of a request.
///
/// The id is the one in its response, with or without the prefix. It has 62 random bits, so
/// knowing it is permission enough.
#[utoipa::path(
    delete,
    path = "/v1/requests/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The id in the request's response")),
    responses((status = 200, description = "The request was cancelled")),
    security(("api_key" = []))
)]
pub(crate) async fn cancel_request(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let digits = ["chatcmpl-", "cmpl-", "gen-", "msg_", "resp_"]
        .iter()
        .find_map(|prefix| id.strip_prefix(prefix))
        .unwrap_or(&id);
    let request: RequestId =
        digits.parse().map_err(|_| RequestError::invalid("id", "id is not the id of a response"))?;
    let cancelled = join_all(choice_ids(request).map(|id| state.router.cancel(id))).await;
    if !cancelled.contains(&true) {
        return Err(RequestError {
            param: Some("id".into()),
            ..RequestError::new(ErrorCode::NotFound, "no request with this id is waiting or running")
        }
        .into());
    }
    Ok(HttpResponse::Ok().json(Cancelled { id: &id, object: "request", cancelled: true }))
}
