//! What a route requires of a caller, and which roles have it.

use hostler_config::Role;
use hostler_protocol::{ErrorCode, RequestError};

/// What a caller needs to use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: its handler does not learn who calls.
    Open,
    /// Nothing if `server.open_metrics` is set, else as [`Access::Observe`].
    Metrics,
    /// The right to use models.
    Use,
    /// The right to read metrics and the state of the cluster.
    Observe,
    /// The right to claim schedulers and to run benchmarks.
    Operate,
    /// The right to change who may do what.
    Administer,
}

impl Access {
    /// The roles that have it.
    const fn roles(self) -> &'static [Role] {
        match self {
            Self::Open => &[Role::User, Role::Observer, Role::Operator, Role::Admin],
            Self::Use => &[Role::User, Role::Operator, Role::Admin],
            Self::Metrics | Self::Observe => &[Role::Observer, Role::Operator, Role::Admin],
            Self::Operate => &[Role::Operator, Role::Admin],
            Self::Administer => &[Role::Admin],
        }
    }

    /// Whether what is done with it is audited.
    pub(super) const fn is_administrative(self) -> bool {
        matches!(self, Self::Operate | Self::Administer)
    }

    /// Refuses a role that does not have it.
    ///
    /// # Errors
    /// `Forbidden`, naming the roles that do; `what` is what was requested.
    pub(super) fn check(self, role: Role, what: &str) -> Result<(), RequestError> {
        if self.roles().contains(&role) {
            return Ok(());
        }
        let roles: Vec<_> = self.roles().iter().map(|role| role.as_str()).collect();
        let message = format!("{what} requires an API key with the role {}", roles.join(" or "));
        Err(RequestError::new(ErrorCode::Forbidden, message))
    }
}
