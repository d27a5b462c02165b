//! The messages between gateways and workers, and their conversions.
//!
//! Each conversion exists in both directions, and converting back gives the same value
//! (`tests/wire.rs`). Received messages are not trusted: a message with a missing field or an
//! unknown enum value is [`Malformed`], and the error names the field.

mod enums;
mod event;
mod request;
mod snapshot;
mod status;
mod version;

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};

pub use event::{event_from_proto, event_to_proto};
pub use request::{chat_from_proto, chat_to_proto, request_from_proto, request_to_proto};
pub use snapshot::{snapshot_from_proto, snapshot_to_proto};
pub(crate) use status::describe;
pub use status::{error_from_status, error_to_status};
pub use version::{PROTOCOL_VERSION, SendVersion, check_version};

/// The messages and both ends of the service, generated from `proto/hostler/v1/worker.proto`.
#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated; the definitions have the comments")]
pub mod proto {
    tonic::include_proto!("hostler.v1");
}

/// A message with a missing or invalid field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// A required field is missing.
    fn missing(field: &str) -> Self {
        Self(format!("{field} is missing"))
    }
}

/// `Internal`: both ends are Hostler, so no client can cause this.
impl From<Malformed> for RequestError {
    fn from(malformed: Malformed) -> Self {
        Self::new(ErrorCode::Internal, malformed.to_string())
    }
}

/// Longest duration in a message: ten years, more than any configuration allows. Adding it to
/// the current time cannot overflow, which a peer could otherwise use to make this process panic.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A duration as a message. One beyond the range of the message, 2^63 s, is cut to it.
pub(crate) fn duration_to_proto(duration: Duration) -> prost_types::Duration {
    // Cannot fail: the maximum is far below that of the message.
    prost_types::Duration::try_from(duration.min(DURATION_MAX)).unwrap_or_default()
}

/// A message as a duration.
fn duration_from_proto(message: prost_types::Duration) -> Result<Duration, Malformed> {
    let duration = Duration::try_from(message).ok().filter(|&duration| duration <= DURATION_MAX);
    duration.ok_or_else(|| {
        let max = DURATION_MAX.as_secs();
        Malformed(format!("a duration of {} s is outside the range 0 to {max}", message.seconds))
    })
}

/// A required field as a duration.
pub(crate) fn required_duration(message: Option<prost_types::Duration>, field: &str) -> Result<Duration, Malformed> {
    duration_from_proto(message.ok_or_else(|| Malformed::missing(field))?)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn durations_that_would_overflow_the_clock_are_refused() {
        let message = |seconds, nanos| prost_types::Duration { seconds, nanos };
        for seconds in [-1, i64::MIN, i64::MAX, 315_360_001] {
            assert!(duration_from_proto(message(seconds, 0)).is_err(), "{seconds}");
        }
        assert_eq!(duration_from_proto(message(1, 500_000_000)).ok(), Some(Duration::from_millis(1500)));
        let longest = duration_from_proto(duration_to_proto(Duration::MAX)).expect("what is sent is allowed");
        assert!(Instant::now().checked_add(longest).is_some());
    }
}
