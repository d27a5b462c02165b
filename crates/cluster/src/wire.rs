//! What travels between gateways and workers, and how it becomes Hostler's own types.
//!
//! Every conversion exists in both directions, and there and back is the identity
//! (`tests/wire.rs`). What came over the network is not trusted: a message that lacks
//! something or holds a word that is not known is [`Malformed`], by name.

mod description;
mod embedding;
mod event;
mod failure;
pub mod proto;
mod request;
mod snapshot;
mod version;
mod words;

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};

pub use event::{event, event_message};
pub(crate) use failure::describe;
pub use failure::{refusal, status};
pub use request::{chat, chat_message, request, request_message};
pub use snapshot::{snapshot, snapshot_message};
pub use version::{PROTOCOL_VERSION, Speaks, check_version};

/// A message that does not mean anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// Something that is always there is not.
    fn missing(what: &str) -> Self {
        Self(format!("{what} is missing"))
    }
}

/// Only another program than ours sends one: a fault, and no client's.
impl From<Malformed> for RequestError {
    fn from(malformed: Malformed) -> Self {
        Self::new(ErrorCode::Internal, malformed.to_string())
    }
}

impl From<Duration> for proto::Span {
    fn from(duration: Duration) -> Self {
        Self { seconds: duration.as_secs(), nanoseconds: duration.subsec_nanos() }
    }
}

impl TryFrom<proto::Span> for Duration {
    type Error = Malformed;

    fn try_from(span: proto::Span) -> Result<Self, Malformed> {
        let whole = Self::from_secs(span.seconds);
        let rest = Self::from_nanos(u64::from(span.nanoseconds));
        whole.checked_add(rest).ok_or_else(|| Malformed(format!("{} s are longer than any time", span.seconds)))
    }
}

/// A length of time that is always there.
pub(crate) fn span(span: Option<proto::Span>, what: &str) -> Result<Duration, Malformed> {
    span.ok_or_else(|| Malformed::missing(what))?.try_into()
}
