//! A table of API keys, and whom each of them identifies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hostler_config::Role;
use hostler_protocol::{ErrorCode, ModelId, Priority, RequestError, TenantId};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::limits::TENANT_LABELS_MAX;
use crate::ApiKey;

/// Keys by their hashes: no key stays in memory.
#[derive(Default)]
pub(crate) struct KeyTable {
    identities: HashMap<Digest, Arc<Identity>>,
    /// Who everyone is, if no keys are configured.
    everyone: Option<Arc<Identity>>,
    /// Tenants whose names appear in metrics: the first ones by name.
    labelled: BTreeSet<TenantId>,
}

/// The tenant label of tenants whose names do not appear in metrics.
const OTHER: &str = "other";

/// What a key says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The key's name; `None`: no keys are configured.
    pub(crate) name: Option<String>,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
    /// The models that it may use; `None`: all.
    pub(crate) models: Option<BTreeSet<ModelId>>,
    pub(crate) priority_max: Priority,
    /// From when on the key is refused, since 1970.
    pub(super) expires: Option<Duration>,
}

impl Identity {
    /// Every client of a server without keys.
    pub(super) fn everyone() -> Self {
        Self {
            name: None,
            tenant: TenantId::default(),
            role: Role::Admin,
            models: None,
            priority_max: Priority::Interactive,
            expires: None,
        }
    }

    fn of(name: &str, key: &ApiKey) -> Self {
        Self {
            name: Some(name.to_owned()),
            tenant: TenantId::new(key.tenant.as_deref().unwrap_or(name)),
            role: key.role,
            models: key.models.as_ref().map(|models| models.iter().map(|model| ModelId::new(model.as_str())).collect()),
            priority_max: key.priority_max.unwrap_or(Priority::Interactive),
            expires: key.expires.map(|expires| Duration::from_secs(expires.unix_seconds())),
        }
    }
}

impl KeyTable {
    /// The table of a server without keys.
    pub(super) fn everyone() -> Self {
        Self { everyone: Some(Arc::new(Identity::everyone())), ..Self::default() }
    }

    /// A table that follows on `previous`, whose labels remain: over all tables of a process, the
    /// values of the label are bounded.
    pub(super) fn new(keys: &BTreeMap<String, ApiKey>, previous: &Self) -> Self {
        let identities: HashMap<_, _> = keys
            .iter()
            // The configuration refuses an entry without a key.
            .filter_map(|(name, key)| Some((Digest(key.sha256()?), Arc::new(Identity::of(name, key)))))
            .collect();
        let tenants: BTreeSet<&TenantId> = identities.values().map(|identity| &identity.tenant).collect();
        let mut labelled = previous.labelled.clone();
        for tenant in tenants {
            if labelled.len() < TENANT_LABELS_MAX {
                labelled.insert(tenant.clone());
            }
        }
        Self { everyone: None, identities, labelled }
    }

    /// Whether every client may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.everyone.is_some()
    }

    /// The value of a metric's `tenant` label: from the configuration, and bounded.
    pub(crate) fn label<'a>(&self, tenant: &'a TenantId) -> &'a str {
        if self.is_open() || self.labelled.contains(tenant) { tenant.as_str() } else { OTHER }
    }

    /// Whom a key identifies, at the time `now` since 1970.
    ///
    /// # Errors
    /// `Unauthenticated`. It does not say more of an unknown key than that.
    pub(super) fn identity(&self, key: Option<&[u8]>, now: Duration) -> Result<Arc<Identity>, RequestError> {
        if let Some(everyone) = &self.everyone {
            return Ok(Arc::clone(everyone));
        }
        let refused = |message| RequestError::new(ErrorCode::Unauthenticated, message);
        let key = key.ok_or_else(|| {
            refused("an API key is required: send `Authorization: Bearer <key>` or `x-api-key: <key>`")
        })?;
        let identity = self.identities.get(&Digest::of(key)).ok_or_else(|| refused("the API key is unknown"))?;
        match identity.expires {
            Some(expires) if now >= expires => Err(refused("the API key has expired")),
            _ => Ok(Arc::clone(identity)),
        }
    }
}

/// The SHA-256 of a key. How long a lookup takes reveals nothing about the known keys: the
/// table's hash function has a random seed, and equal entries are compared in constant time.
#[derive(Clone, Copy)]
struct Digest([u8; 32]);

impl Digest {
    fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn key(key: &str) -> ApiKey {
        ApiKey::new(key, Role::User)
    }

    fn keys<'a>(keys: impl IntoIterator<Item = (&'a str, ApiKey)>) -> KeyTable {
        after(&KeyTable::default(), keys)
    }

    fn after<'a>(previous: &KeyTable, keys: impl IntoIterator<Item = (&'a str, ApiKey)>) -> KeyTable {
        KeyTable::new(&keys.into_iter().map(|(name, key)| (name.to_owned(), key)).collect(), previous)
    }

    fn code(result: Result<Arc<Identity>, RequestError>) -> Option<ErrorCode> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn a_key_identifies_its_tenant_and_role() {
        let night = ApiKey { tenant: Some("alice".to_owned()), ..ApiKey::new("n-key", Role::Operator) };
        let keys = keys([("alice", key("a-key")), ("night", night)]);
        let who = |key: &[u8]| keys.identity(Some(key), at(0)).map(|who| (who.tenant.clone(), who.role));
        assert_eq!(who(b"a-key"), Ok(("alice".into(), Role::User)));
        assert_eq!(who(b"n-key"), Ok(("alice".into(), Role::Operator)));
        for other in [None, Some(&b""[..]), Some(b"A-KEY"), Some(b"a-key "), Some(b"a-ke")] {
            assert_eq!(code(keys.identity(other, at(0))), Some(ErrorCode::Unauthenticated), "{other:?}");
        }
    }

    #[test]
    fn a_hash_stands_for_its_key_in_either_case() {
        let digest = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
        for digest in [digest.to_owned(), digest.to_ascii_uppercase()] {
            let hashed = ApiKey { key_sha256: Some(digest.as_str().into()), ..ApiKey::default() };
            let keys = keys([("k", hashed)]);
            assert!(keys.identity(Some(b"k"), at(0)).is_ok());
            assert!(keys.identity(Some(digest.as_bytes()), at(0)).is_err(), "the hash is no key");
        }
    }

    #[test]
    fn a_key_expires_at_its_time() {
        let expires = Some("1970-01-02".to_owned().try_into().expect("a date"));
        let keys = keys([("a", ApiKey { expires, ..key("a-key") })]);
        assert_eq!(code(keys.identity(Some(b"a-key"), at(86_399))), None);
        assert_eq!(code(keys.identity(Some(b"a-key"), at(86_400))), Some(ErrorCode::Unauthenticated));
    }

    #[test]
    fn the_first_tenants_have_their_own_label_and_the_rest_share_one() {
        let names: Vec<_> = (0..=TENANT_LABELS_MAX).rev().map(|index| format!("t{index:03}")).collect();
        let keys = keys(names.iter().map(|name| (name.as_str(), key(name))));
        assert_eq!(keys.label(&"t000".into()), "t000");
        assert_eq!(keys.label(&"t099".into()), "t099");
        assert_eq!(keys.label(&"t100".into()), "other");
        let later = after(&keys, [("new", key("n-key"))]);
        assert_eq!((later.label(&"t000".into()), later.label(&"new".into())), ("t000", "other"));
        assert_eq!(KeyTable::everyone().label(&TenantId::default()), "anonymous");
    }

    #[test]
    fn every_caller_may_do_everything_if_no_keys_are_configured() {
        let keys = KeyTable::everyone();
        assert!(keys.is_open());
        let everyone = keys.identity(Some(b"any"), at(0)).expect("nobody is refused");
        assert_eq!(*everyone, Identity::everyone());
    }
}
