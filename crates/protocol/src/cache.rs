//! Who may share the cached prefix of a prompt.

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// The requests among which engines reuse cached prefixes: those of an equal scope. Reuse
/// shows in `cached_tokens` and in the time to the first token, so it tells what others with
/// the scope have asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CacheScope {
    /// Only requests of this tenant; `None`: of all tenants.
    pub tenant: Option<TenantId>,
    /// Only requests with this salt, which a client chooses.
    pub salt: Option<String>,
}
