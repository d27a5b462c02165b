//! `DELETE /v1/requests/{id}`

use actix_web::{HttpResponse, web};
use futures::future::join_all;
use hostler_protocol::{ErrorCode, RequestError, RequestId};
use serde::Serialize;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::generation::choice_ids;
use crate::shared::Shared;

#[derive(Serialize)]
struct Cancelled<'a> {
    id: &'a str,
    object: &'static str,
    cancelled: bool,
}

/// Cancels all generations of a request. Its id is the one in its answer, with or
/// without the prefix; it holds 62 random bits, so knowing it is the permission.
pub(crate) async fn cancel(
    shared: web::Data<Shared>,
    _: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let digits = ["chatcmpl-", "cmpl-", "gen-"].iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(&id);
    let request: RequestId =
        digits.parse().map_err(|_| RequestError::invalid("id", "id is not one of a request's answer"))?;
    let cancelled = join_all(choice_ids(request).map(|id| shared.router.cancel(id))).await;
    if !cancelled.contains(&true) {
        return Err(RequestError {
            param: Some("id".into()),
            ..RequestError::new(ErrorCode::NotFound, "no such request waits or runs")
        }
        .into());
    }
    Ok(HttpResponse::Ok().json(Cancelled { id: &id, object: "request", cancelled: true }))
}
