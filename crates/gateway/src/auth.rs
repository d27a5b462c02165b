//! API keys: who asks, and whether they may.

use std::collections::{BTreeSet, HashMap};
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use hostler_protocol::{ErrorCode, FencingToken, RequestError, TenantId};
use sha2::{Digest, Sha256};

use crate::ApiKey;
use crate::error::ApiError;
use crate::limits::TENANT_LABELS_MAX;
use crate::shared::Shared;

/// The known keys, by their SHA-256. Looking up a digest takes a time that says
/// nothing about the keys, and no key stays in memory.
pub(crate) struct Keys {
    callers: HashMap<[u8; 32], Caller>,
    /// Tenants whose names stand in metrics: the first ones by name.
    named: BTreeSet<TenantId>,
}

/// What metrics call a tenant that is not named there.
const OTHER: &str = "other";

/// Who sent a request. Extracting one is the check that they may send it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    /// Who the request is accounted to.
    pub(crate) tenant: TenantId,
    /// The claim under which the request comes; only an admin's may come under one.
    pub(crate) claim: Option<FencingToken>,
    admin: bool,
}

/// The header that says under which claim a request comes.
const CLAIM: &str = "x-hostler-claim";

/// A caller who may administer the server: claims, benchmarks, `/admin`.
pub(crate) struct Admin {
    /// Who it is.
    pub(crate) tenant: TenantId,
}

impl Keys {
    pub(crate) fn new(keys: &[ApiKey]) -> Self {
        let known = keys.iter().map(|key| {
            let caller = Caller { tenant: TenantId::new(key.name.as_str()), claim: None, admin: key.admin };
            (Sha256::digest(&key.key).into(), caller)
        });
        let callers: HashMap<_, Caller> = known.collect();
        let all: BTreeSet<TenantId> = callers.values().map(|caller| caller.tenant.clone()).collect();
        Self { callers, named: all.into_iter().take(TENANT_LABELS_MAX).collect() }
    }

    /// The value of a metric's `tenant` label: from the configuration, and bounded.
    pub(crate) fn label<'a>(&self, tenant: &'a TenantId) -> &'a str {
        if self.callers.is_empty() || self.named.contains(tenant) { tenant.as_str() } else { OTHER }
    }

    /// Who sends this `Authorization` header. Without any keys, everyone is welcome.
    fn caller(&self, authorization: Option<&[u8]>) -> Result<Caller, RequestError> {
        if self.callers.is_empty() {
            return Ok(Caller { tenant: TenantId::default(), claim: None, admin: true });
        }
        let refused = |message| RequestError::new(ErrorCode::Unauthenticated, message);
        let header =
            authorization.ok_or_else(|| refused("an API key is needed: send `Authorization: Bearer <key>`"))?;
        let key = bearer(header).ok_or_else(|| refused("the Authorization header is not `Bearer <key>`"))?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        self.callers.get(&digest).cloned().ok_or_else(|| refused("this API key is not known"))
    }
}

/// The key in `Bearer <key>`; schemes are written in any case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

fn caller(request: &HttpRequest) -> Result<Caller, RequestError> {
    let Some(shared) = request.app_data::<web::Data<Shared>>() else {
        return Err(RequestError::new(ErrorCode::Internal, "the gateway lost its state"));
    };
    let caller = shared.keys.caller(request.headers().get(AUTHORIZATION).map(|value| value.as_bytes()))?;
    match request.headers().get(CLAIM) {
        None => Ok(caller),
        Some(_) if !caller.admin => {
            Err(RequestError::new(ErrorCode::Forbidden, format!("this API key may not send {CLAIM}: it is no admin's")))
        }
        Some(token) => {
            let token = token.to_str().ok().and_then(|token| token.parse().ok()).ok_or_else(|| {
                RequestError::invalid(
                    CLAIM,
                    format!("{CLAIM} must be the number of a claim, as POST /admin/claims gives it"),
                )
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
            Ok(_) => {
                Err(RequestError::new(ErrorCode::Forbidden, "this API key may not do this: it is no admin's").into())
            }
            Err(error) => Err(error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&[
            ApiKey { name: "alice".into(), key: "a-key".into(), admin: false },
            ApiKey { name: "root".into(), key: "r-key".into(), admin: true },
        ])
    }

    #[test]
    fn a_key_names_its_tenant() {
        let caller = |header: &str| keys().caller(Some(header.as_bytes()));
        assert_eq!(caller("Bearer a-key"), Ok(Caller { tenant: "alice".into(), claim: None, admin: false }));
        assert_eq!(caller("bearer  r-key "), Ok(Caller { tenant: "root".into(), claim: None, admin: true }));
    }

    #[test]
    fn anything_else_is_refused_where_there_are_keys() {
        for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic a-key"), Some("Bearer A-KEY")] {
            let refused = keys().caller(header.map(str::as_bytes));
            assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::Unauthenticated), "{header:?}");
        }
    }

    #[test]
    fn so_many_tenants_have_a_name_in_metrics_and_the_others_share_one() {
        let key = |index: usize| ApiKey { name: format!("t{index:03}"), key: format!("key-{index}"), admin: false };
        let keys = Keys::new(&(0..=TENANT_LABELS_MAX).rev().map(key).collect::<Vec<_>>());
        assert_eq!(keys.label(&"t000".into()), "t000");
        assert_eq!(keys.label(&"t099".into()), "t099");
        assert_eq!(keys.label(&"t100".into()), "other");
        assert_eq!(Keys::new(&[]).label(&TenantId::default()), "anonymous");
    }

    #[test]
    fn without_keys_everyone_is_welcome() {
        let caller = Keys::new(&[]).caller(None);
        assert_eq!(caller, Ok(Caller { tenant: TenantId::default(), claim: None, admin: true }));
    }
}
