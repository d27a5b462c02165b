//! Endpoints for stored responses.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use futures::future::join_all;
use hostler_protocol::{ErrorCode, RequestError, RequestId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::PREFIX;
use super::object::State;
use crate::generation::choice_ids;
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::stored::Record;

/// Most items of one page, as in OpenAI's API.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 20;

/// Returns a stored response (OpenAI).
#[utoipa::path(
    get,
    path = "/v1/responses/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The id of the response")),
    responses((status = 200, description = "The response")),
    security(("api_key" = []))
)]
pub(crate) async fn get_response(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let record = find(&state, &caller, &id)?;
    Ok(HttpResponse::Ok().json(&record.response))
}

/// Deletes a stored response (OpenAI).
#[utoipa::path(
    delete,
    path = "/v1/responses/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The id of the response")),
    responses((status = 200, description = "The response was deleted")),
    security(("api_key" = []))
)]
pub(crate) async fn delete_response(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let is_removed = state.responses.as_ref().is_some_and(|responses| responses.remove(&id, caller.tenant()));
    if !is_removed {
        return Err(unknown(&state, "id").into());
    }
    Ok(HttpResponse::Ok().json(json!({"id": *id, "object": "response", "deleted": true})))
}

/// Cancels a stored response that is generated (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/responses/{id}/cancel",
    tag = "openai",
    params(("id" = String, Path, description = "The id of the response")),
    responses((status = 200, description = "The response, which was cancelled")),
    security(("api_key" = []))
)]
pub(crate) async fn cancel_response(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let record = find(&state, &caller, &id)?;
    let status = &record.response["status"];
    if *status != State::InProgress.name() {
        let message = format!("id: the response has ended already; its status is {status}");
        return Err(RequestError::invalid("id", message).into());
    }
    // Stored before the generation ends, whose end is not stored then.
    let mut response = record.response.clone();
    response["status"] = State::Failed(&RequestError::cancelled()).name().into();
    if let Some(responses) = &state.responses {
        responses.end(record.with_response(response.clone()));
    }
    if let Some(request) = id.strip_prefix(PREFIX).and_then(|digits| digits.parse::<RequestId>().ok()) {
        join_all(choice_ids(request).map(|id| state.router.cancel(id))).await;
    }
    Ok(HttpResponse::Ok().json(response))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<usize>,
    #[serde(default)]
    order: Order,
    /// The id of the item before the page.
    after: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    #[default]
    Desc,
}

/// Lists the items that a stored response was generated from (OpenAI).
#[utoipa::path(
    get,
    path = "/v1/responses/{id}/input_items",
    tag = "openai",
    params(("id" = String, Path, description = "The id of the response")),
    responses((status = 200, description = "The items")),
    security(("api_key" = []))
)]
pub(crate) async fn list_input_items(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    query: Result<web::Query<Page>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let page = query.map_err(|error| {
        RequestError::invalid("query", format!("{error}; limit, order (asc or desc) and after are allowed"))
    })?;
    let record = find(&state, &caller, &id)?;
    Ok(HttpResponse::Ok().json(list(&record.input, &page)?))
}

fn list(items: &[Value], page: &Page) -> Result<Value, RequestError> {
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(RequestError::invalid("limit", format!("limit is {limit}; 1 to {PAGE_MAX} are allowed")));
    }
    let mut ordered: Vec<&Value> = items.iter().collect();
    if page.order == Order::Desc {
        ordered.reverse();
    }
    let start = match &page.after {
        None => 0,
        Some(after) => {
            let position = ordered.iter().position(|item| item["id"] == after.as_str());
            let position =
                position.ok_or_else(|| RequestError::invalid("after", "after is not the id of one of the items"))?;
            position + 1
        }
    };
    let rest = &ordered[start..];
    let data = &rest[..rest.len().min(limit)];
    let id = |item: Option<&&Value>| item.map(|item| item["id"].clone());
    Ok(json!({
        "object": "list",
        "data": data,
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": rest.len() > data.len(),
    }))
}

fn find(state: &AppState, caller: &Caller, id: &str) -> Result<Arc<Record>, RequestError> {
    let record = state.responses.as_ref().and_then(|responses| responses.get(id, caller.tenant()));
    record.ok_or_else(|| unknown(state, "id"))
}

/// A response that is not stored here, or belongs to another tenant.
pub(super) fn unknown(state: &AppState, field: &'static str) -> RequestError {
    let message = match state.responses {
        Some(_) => format!(
            "{field}: no response with this id is stored here. It may have been created with store: false, deleted, \
             or have expired; and with several gateways, only the one that created a response knows it"
        ),
        None => format!("{field}: this server does not store responses (server.responses.enabled is false)"),
    };
    RequestError { param: Some(field.into()), ..RequestError::new(ErrorCode::NotFound, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let items: Vec<Value> = (0..5).map(|id| json!({"id": id.to_string()})).collect();
        let page = |limit: usize, order: Order, after: Option<&str>| {
            let page = Page { limit: Some(limit), order, after: after.map(str::to_owned) };
            let list = list(&items, &page).map_err(|error| error.param.map(std::borrow::Cow::into_owned))?;
            Ok((list["first_id"].clone(), list["last_id"].clone(), list["has_more"].clone()))
        };
        assert_eq!(page(2, Order::Desc, None), Ok((json!("4"), json!("3"), json!(true))));
        assert_eq!(page(2, Order::Asc, Some("2")), Ok((json!("3"), json!("4"), json!(false))));
        assert_eq!(page(2, Order::Asc, Some("4")), Ok((json!(null), json!(null), json!(false))));
        assert_eq!(page(0, Order::Asc, None), Err(Some("limit".to_owned())));
        assert_eq!(page(1, Order::Asc, Some("9")), Err(Some("after".to_owned())));
    }
}
