//! Identifiers. Names are shared strings, so a clone does not allocate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A token's index in the model's vocabulary.
pub type TokenId = u32;

/// Identifies one generation request across the cluster (UUID version 7, so ids sort
/// by creation time).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(Uuid);

impl RequestId {
    /// A fresh id.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as a number; the lower 62 bits are random.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

/// 32 hexadecimal digits, without dashes.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// Accepts the digits with or without dashes.
impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl TryFrom<String> for RequestId {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}

/// Defines a named identifier: a shared, immutable string with a type of its own.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name without checking it; the configuration validates names.
            #[must_use]
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }
    };
}

name! {
    /// The name under which a model is served, as clients write it in `model`.
    ModelId
}
name! {
    /// The name of a scheduler, unique in the cluster.
    SchedulerId
}
name! {
    /// The name of a process that runs schedulers, unique in the cluster.
    NodeId
}
name! {
    /// The tenant that a request is charged to: the name of an API key, or `anonymous`.
    TenantId
}
name! {
    /// A client-chosen name for requests that belong together, such as a conversation.
    SessionId
}

impl Default for TenantId {
    fn default() -> Self {
        Self::new("anonymous")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_parse_what_they_print() {
        let id = RequestId::new();
        assert_eq!(id.to_string().parse::<RequestId>().ok(), Some(id));
        assert!("not-an-id".parse::<RequestId>().is_err());
    }
}
