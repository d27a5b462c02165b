//! The extractors that authenticate and authorise a request.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use hostler_protocol::{ErrorCode, FencingToken, RequestError, TenantId};

use super::error::ApiError;
pub(crate) use super::keys::Caller;
use super::state::AppState;

/// The header that names the claim that a request is sent under.
const CLAIM: &str = "x-hostler-claim";

/// The header that Anthropic's clients send the key in.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A caller who may administer the server: claims, benchmarks, `/admin`.
pub(crate) struct Admin {
    pub(crate) tenant: TenantId,
}

fn caller(request: &HttpRequest) -> Result<Caller, RequestError> {
    let keys = &AppState::of(request)?.keys;
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let caller = keys.caller(header(AUTHORIZATION), header(API_KEY))?;
    match request.headers().get(CLAIM) {
        None => Ok(caller),
        Some(_) if !caller.admin => {
            Err(RequestError::new(ErrorCode::Forbidden, format!("{CLAIM} requires an API key with admin = true")))
        }
        Some(token) => {
            let token = token.to_str().ok().and_then(|token| token.parse().ok()).ok_or_else(|| {
                RequestError::invalid(CLAIM, format!("{CLAIM} must be the token of a claim, from POST /admin/claims"))
            })?;
            Ok(Caller { claim: Some(FencingToken(token)), ..caller })
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map_err(ApiError::from))
    }
}

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match caller(request) {
            Ok(Caller { admin: true, tenant, .. }) => Ok(Self { tenant }),
            Ok(_) => Err(RequestError::new(ErrorCode::Forbidden, "an API key with admin = true is required").into()),
            Err(error) => Err(error.into()),
        })
    }
}
