//! From the headers of a request to its caller. This is the only place that reads keys.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use hostler_protocol::{ErrorCode, FencingToken, ModelId, Priority, RequestError, TenantId};
use hostler_router::ServedModel;

use super::access::Access;
use super::audit::Act;
use super::context::RequestContext;
use super::error::ApiError;
pub(crate) use super::keys::Identity;
use super::state::{AppState, choose};

/// The header that names the claim that a request is sent under.
const CLAIM: &str = "x-hostler-claim";

/// Where Anthropic's clients send the key.
const X_API_KEY: &str = "x-api-key";

/// The sender of a request, which may use the endpoint. Handlers of routes that are open to
/// everyone cannot extract it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Arc<Identity>,
    /// The claim that the request is sent under; only operators may name one.
    pub(crate) claim: Option<FencingToken>,
}

impl Caller {
    /// The tenant that the request is accounted to.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.identity.tenant
    }

    /// The served models that the caller may use.
    pub(crate) fn models(&self, state: &AppState) -> Vec<ServedModel> {
        let mut models = state.router.models();
        models.retain(|served| self.may_use(served));
        models
    }

    fn may_use(&self, served: &ServedModel) -> bool {
        self.identity.models.as_ref().is_none_or(|allowed| allowed.contains(&served.model))
    }

    /// The model that a request names, or the only one if it names none. Models that the caller
    /// may not use do not exist for it.
    ///
    /// # Errors
    /// There is no such model, or several and no name.
    pub(crate) fn model(&self, state: &AppState, name: Option<&str>) -> Result<ServedModel, RequestError> {
        choose(state.router.models(), |served| self.may_use(served), name)
    }

    /// As [`Caller::model`], for handlers that need only its name.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn model_id(&self, state: &AppState, name: Option<&str>) -> Result<ModelId, RequestError> {
        self.model(state, name).map(|served| served.model)
    }

    /// The priority of a request, which asks for `wanted` if it names one.
    ///
    /// # Errors
    /// `Forbidden`, if that is more urgent than the key permits.
    pub(crate) fn priority(&self, wanted: Option<Priority>) -> Result<Priority, RequestError> {
        let max = self.identity.priority_max;
        match wanted {
            // The order of priorities begins with the most urgent one.
            Some(wanted) if wanted < max => {
                let message = format!("priority is {}; the API key permits at most {}", wanted.as_str(), max.as_str());
                Err(RequestError { param: Some("priority".into()), ..RequestError::new(ErrorCode::Forbidden, message) })
            }
            Some(wanted) => Ok(wanted),
            None => Ok(Priority::default().max(max)),
        }
    }
}

/// The middleware of one route. It runs before the handler, also before a body is read.
pub(crate) async fn authorize(
    access: Access,
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_open = access == Access::Open || (access == Access::Metrics && state.config.open_metrics);
    if is_open {
        return next.call(request).await;
    }
    let head = request.request().clone();
    let caller = caller(&state, head.headers());
    let refusal = match &caller {
        Ok(caller) => access.check(caller.identity.role, "this endpoint").err(),
        Err(error) => Some(error.clone()),
    };
    let response = match refusal {
        Some(error) => request.error_response(ApiError::from(error)),
        None => {
            if let Ok(caller) = &caller {
                head.extensions_mut().insert(caller.clone());
            }
            next.call(request).await?
        }
    };
    if access.is_administrative() && !head.method().is_safe() {
        let identity = caller.as_ref().ok().map(|caller| &*caller.identity);
        audit(&state, &head, identity, response.status());
    }
    Ok(response)
}

/// Records an administrative act, or the attempt at one.
fn audit(state: &AppState, request: &HttpRequest, identity: Option<&Identity>, status: StatusCode) {
    let context = request.extensions().get::<RequestContext>().cloned();
    state.audit.record(&Act {
        key: identity.and_then(|identity| identity.name.as_deref()),
        role: identity.map(|identity| identity.role.as_str()),
        address: request.peer_addr().map(|address| address.ip().to_string()),
        method: request.method().as_str(),
        path: request.path(),
        status: status.as_u16(),
        request_id: context.as_ref().map_or("", |context| context.request_id.as_str()),
    });
}

/// The caller that a request's headers name.
///
/// # Errors
/// `Unauthenticated` without a valid key; `Forbidden` or `InvalidRequest` for the claim.
fn caller(state: &AppState, headers: &HeaderMap) -> Result<Caller, RequestError> {
    // Without keys, clients may send whatever they send to other servers.
    let table = state.keys.table();
    let key = if table.is_open() { None } else { sent_key(headers)? };
    let identity = table.identity(key, hostler_util::unix_time())?;
    let claim = headers.get(CLAIM).map(|token| {
        Access::Operate.check(identity.role, CLAIM)?;
        let token = token.to_str().ok().and_then(|token| token.parse().ok());
        token.map(FencingToken).ok_or_else(|| {
            RequestError::invalid(CLAIM, format!("{CLAIM} must be the token of a claim, from POST /admin/claims"))
        })
    });
    Ok(Caller { claim: claim.transpose()?, identity })
}

/// The key in `Authorization: Bearer KEY`, or else in `x-api-key`.
fn sent_key(headers: &HeaderMap) -> Result<Option<&[u8]>, RequestError> {
    let Some(authorization) = headers.get(AUTHORIZATION) else {
        return Ok(headers.get(X_API_KEY).map(|key| key.as_bytes().trim_ascii()));
    };
    let key = bearer(authorization.as_bytes())
        .ok_or_else(|| RequestError::new(ErrorCode::Unauthenticated, "the Authorization header is not `Bearer <key>`"));
    key.map(Some)
}

/// The key in `Bearer <key>`; the scheme is case-insensitive.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        let missing = || RequestError::new(ErrorCode::Internal, "the route does not authenticate its callers");
        ready(caller.ok_or_else(|| missing().into()))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use hostler_config::Role;

    use super::*;

    fn sent(headers: &[(&'static str, &'static str)]) -> Result<Option<String>, ErrorCode> {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers: HeaderMap = headers.iter().map(pair).collect();
        let key = sent_key(&headers).map_err(|error| error.code)?;
        Ok(key.map(|key| String::from_utf8_lossy(key).into_owned()))
    }

    #[test]
    fn a_key_is_a_bearer_token_or_in_its_own_header() {
        assert_eq!(sent(&[]), Ok(None));
        for header in ["Bearer a-key", "bearer  a-key ", "BEARER a-key"] {
            assert_eq!(sent(&[("authorization", header)]), Ok(Some("a-key".to_owned())), "{header}");
        }
        assert_eq!(sent(&[("x-api-key", " a-key ")]), Ok(Some("a-key".to_owned())));
        assert_eq!(sent(&[("x-api-key", "b"), ("authorization", "Bearer a")]), Ok(Some("a".to_owned())));
        for header in ["", "Bearer", "Basic a-key", "a-key"] {
            assert_eq!(sent(&[("authorization", header)]), Err(ErrorCode::Unauthenticated), "{header}");
        }
    }

    #[test]
    fn a_priority_above_the_ceiling_is_refused_and_the_default_is_lowered() {
        use Priority::{Batch, Default, Interactive};
        for (max, wanted, expected) in [
            (Interactive, None, Ok(Default)),
            (Interactive, Some(Interactive), Ok(Interactive)),
            (Default, Some(Interactive), Err(ErrorCode::Forbidden)),
            (Default, Some(Batch), Ok(Batch)),
            (Batch, None, Ok(Batch)),
            (Batch, Some(Default), Err(ErrorCode::Forbidden)),
        ] {
            let identity = Identity { priority_max: max, ..Identity::everyone() };
            assert_eq!(identity.role, Role::Admin);
            let caller = Caller { identity: Arc::new(identity), claim: None };
            assert_eq!(caller.priority(wanted).map_err(|error| error.code), expected, "{max:?} {wanted:?}");
        }
    }
}
