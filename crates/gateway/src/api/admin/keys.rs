//! API keys: created, listed, deleted. Only the response that creates a key contains it.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};
use hostler_config::{ApiKey, Expiry, Role};
use hostler_protocol::{ErrorCode, Priority, RequestError};
use serde::{Deserialize, Serialize};

use crate::http::bodies::List;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::request::Json;

/// Random bytes of a key. Nobody can guess one, so a plain hash of it is safe to store.
const KEY_BYTES: usize = 32;

/// The body of `POST /admin/keys`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyBody {
    name: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    expires: Option<Expiry>,
    #[serde(default)]
    models: Option<Vec<String>>,
    #[serde(default)]
    priority_max: Option<Priority>,
}

#[derive(Serialize)]
struct KeyBody {
    object: &'static str,
    name: String,
    /// The key itself, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    tenant: String,
    role: Role,
    expires: Option<Expiry>,
    models: Option<Vec<String>>,
    priority_max: Priority,
    /// `file` if it can be deleted here, else `configuration`.
    source: &'static str,
}

impl KeyBody {
    fn new(name: String, entry: ApiKey, is_stored: bool) -> Self {
        Self {
            object: "api_key",
            key: None,
            tenant: entry.tenant.unwrap_or_else(|| name.clone()),
            name,
            role: entry.role,
            expires: entry.expires,
            models: entry.models,
            priority_max: entry.priority_max.unwrap_or(Priority::Interactive),
            source: if is_stored { "file" } else { "configuration" },
        }
    }
}

/// Creates an API key.
///
/// The response shows it; `server.key_file` gets its hash. It is valid from the response on.
#[utoipa::path(
    post,
    path = "/admin/keys",
    tag = "admin",
    responses((status = 201, description = "The key, which is not shown again")),
    security(("api_key" = ["admin"]))
)]
pub(crate) async fn create_key(
    state: web::Data<AppState>,
    Json(body): Json<CreateKeyBody>,
) -> Result<HttpResponse, ApiError> {
    let CreateKeyBody { name, tenant, role, expires, models, priority_max } = body;
    let secret = rand::random::<[u8; KEY_BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entry = ApiKey { tenant, expires, models, priority_max, ..ApiKey::new(&secret, role) };
    if let Some(problem) = entry.problems(&name).into_iter().next() {
        return Err(RequestError::new(ErrorCode::InvalidRequest, problem).into());
    }
    let (keys, added) = (Arc::clone(&state.keys), (name.clone(), entry.clone()));
    blocking(move || keys.add(&added.0, added.1)).await?;
    let location = format!("/admin/keys/{name}");
    let body = KeyBody { key: Some(secret), ..KeyBody::new(name, entry, true) };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body))
}

/// Lists the API keys, without their secrets.
#[utoipa::path(
    get,
    path = "/admin/keys",
    tag = "admin",
    responses((status = 200, description = "The keys")),
    security(("api_key" = ["observer"]))
)]
pub(crate) async fn list_keys(state: web::Data<AppState>) -> HttpResponse {
    let keys = state.keys.list().into_iter();
    HttpResponse::Ok()
        .json(keys.map(|(name, entry, is_stored)| KeyBody::new(name, entry, is_stored)).collect::<List<_>>())
}

#[derive(Serialize)]
struct Deleted<'a> {
    object: &'static str,
    name: &'a str,
    deleted: bool,
}

/// Deletes an API key. Requests that were sent with it continue.
#[utoipa::path(
    delete,
    path = "/admin/keys/{name}",
    tag = "admin",
    params(("name" = String, Path, description = "The key's name")),
    responses((status = 200, description = "The key is no longer valid")),
    security(("api_key" = ["admin"]))
)]
pub(crate) async fn delete_key(state: web::Data<AppState>, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let (keys, removed) = (Arc::clone(&state.keys), name.clone());
    blocking(move || keys.remove(&removed)).await?;
    Ok(HttpResponse::Ok().json(Deleted { object: "api_key", name: &name, deleted: true }))
}

/// Changes a file on a thread that may block.
async fn blocking(change: impl FnOnce() -> Result<(), RequestError> + Send + 'static) -> Result<(), RequestError> {
    let done = web::block(change).await;
    done.unwrap_or_else(|_| Err(RequestError::new(ErrorCode::Internal, "the change of the key file was cancelled")))
}
