//! The configured API keys, and the caller that each of them belongs to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hostler_protocol::{ErrorCode, FencingToken, RequestError, TenantId};
use sha2::{Digest, Sha256};

use super::limits::TENANT_LABELS_MAX;
use crate::ApiKey;

/// The configured keys, by their SHA-256. How long a lookup of a digest takes reveals nothing
/// about the keys, and no key stays in memory.
pub(crate) struct Keys {
    callers: HashMap<[u8; 32], Caller>,
    /// Tenants whose names appear in metrics: the first ones by name.
    labelled: BTreeSet<TenantId>,
}

/// The tenant label of tenants whose names do not appear in metrics.
const OTHER: &str = "other";

/// The sender of a request. Extracting it checks that the sender may use the API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    /// The tenant that the request is accounted to.
    pub(crate) tenant: TenantId,
    /// The claim that the request is sent under; only admins may name one.
    pub(crate) claim: Option<FencingToken>,
    pub(super) admin: bool,
}

impl Keys {
    pub(crate) fn new(keys: &BTreeMap<String, ApiKey>) -> Self {
        let callers = keys.iter().map(|(name, client)| {
            let caller = Caller { tenant: TenantId::new(name.as_str()), claim: None, admin: client.admin };
            (Sha256::digest(client.key.reveal()).into(), caller)
        });
        let callers: HashMap<_, Caller> = callers.collect();
        let tenants: BTreeSet<TenantId> = callers.values().map(|caller| caller.tenant.clone()).collect();
        Self { callers, labelled: tenants.into_iter().take(TENANT_LABELS_MAX).collect() }
    }

    /// The value of a metric's `tenant` label: from the configuration, and bounded.
    pub(crate) fn label<'a>(&self, tenant: &'a TenantId) -> &'a str {
        if self.callers.is_empty() || self.labelled.contains(tenant) { tenant.as_str() } else { OTHER }
    }

    /// The caller that an `Authorization` header names, or else an `x-api-key` header, which
    /// Anthropic's clients send. If no keys are configured, every caller is an admin.
    pub(super) fn caller(&self, authorization: Option<&[u8]>, api_key: Option<&[u8]>) -> Result<Caller, RequestError> {
        if self.callers.is_empty() {
            return Ok(Caller { tenant: TenantId::default(), claim: None, admin: true });
        }
        let refused = |message| RequestError::new(ErrorCode::Unauthenticated, message);
        let key = match (authorization, api_key) {
            (Some(header), _) => {
                bearer(header).ok_or_else(|| refused("the Authorization header is not `Bearer <key>`"))?
            }
            (None, Some(key)) => key.trim_ascii(),
            (None, None) => return Err(refused("an API key is required: send `Authorization: Bearer <key>`")),
        };
        let digest: [u8; 32] = Sha256::digest(key).into();
        self.callers.get(&digest).cloned().ok_or_else(|| refused("the API key is unknown"))
    }
}

/// The key in `Bearer <key>`; the scheme is case-insensitive.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&BTreeMap::from([
            ("alice".to_owned(), ApiKey { key: "a-key".into(), admin: false }),
            ("root".to_owned(), ApiKey { key: "r-key".into(), admin: true }),
        ]))
    }

    #[test]
    fn a_key_names_its_tenant() {
        let caller = |header: &str| keys().caller(Some(header.as_bytes()), None);
        assert_eq!(caller("Bearer a-key"), Ok(Caller { tenant: "alice".into(), claim: None, admin: false }));
        assert_eq!(keys().caller(None, Some(b"a-key")), caller("Bearer a-key"));
        assert_eq!(caller("bearer  r-key "), Ok(Caller { tenant: "root".into(), claim: None, admin: true }));
    }

    #[test]
    fn any_other_header_is_refused_if_keys_are_configured() {
        for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic a-key"), Some("Bearer A-KEY")] {
            let refused = keys().caller(header.map(str::as_bytes), None);
            assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::Unauthenticated), "{header:?}");
        }
        for (authorization, api_key) in [(None, "A-KEY"), (None, ""), (Some(&b"Bearer wrong"[..]), "a-key")] {
            let refused = keys().caller(authorization, Some(api_key.as_bytes()));
            assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::Unauthenticated), "{api_key}");
        }
    }

    #[test]
    fn the_first_tenants_have_their_own_label_and_the_rest_share_one() {
        let key = |index: usize| {
            (format!("t{index:03}"), ApiKey { key: format!("key-{index}").as_str().into(), admin: false })
        };
        let keys = Keys::new(&(0..=TENANT_LABELS_MAX).rev().map(key).collect());
        assert_eq!(keys.label(&"t000".into()), "t000");
        assert_eq!(keys.label(&"t099".into()), "t099");
        assert_eq!(keys.label(&"t100".into()), "other");
        assert_eq!(Keys::new(&BTreeMap::new()).label(&TenantId::default()), "anonymous");
    }

    #[test]
    fn every_caller_is_an_admin_if_no_keys_are_configured() {
        let caller = Keys::new(&BTreeMap::new()).caller(None, None);
        assert_eq!(caller, Ok(Caller { tenant: TenantId::default(), claim: None, admin: true }));
    }
}
