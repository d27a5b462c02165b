//! Errors: a [`RequestError`] as a message, and as a gRPC status.

use bytes::Bytes;
use hostler_protocol::{ErrorCode, RequestError};
use prost::Message;
use tonic::{Code, Status};

use super::{Malformed, duration_from_proto, duration_to_proto, proto};

/// Maximum length of the message in a status, in bytes. A status is sent in headers, of which
/// HTTP/2 implementations accept 16 KiB, and its details grow by a third as base64.
const STATUS_MESSAGE_BYTES_MAX: usize = 4096;

impl From<RequestError> for proto::Failure {
    fn from(error: RequestError) -> Self {
        Self {
            code: proto::ErrorCode::from(error.code).into(),
            reason: error.reason.map_or(proto::ErrorReason::Unspecified, Into::into).into(),
            message: error.message,
            param: error.param.map(Into::into),
            retry_after: error.retry_after.map(duration_to_proto),
            estimated_wait: error.estimated_wait.map(duration_to_proto),
            is_expected: error.is_expected,
        }
    }
}

impl TryFrom<proto::Failure> for RequestError {
    type Error = Malformed;

    fn try_from(failure: proto::Failure) -> Result<Self, Malformed> {
        Ok(Self {
            code: failure.code().try_into()?,
            // Without a reason that this version does not know, the error is less specific, not wrong.
            reason: failure.reason().try_into().ok(),
            message: failure.message,
            param: failure.param.map(Into::into),
            retry_after: failure.retry_after.map(duration_from_proto).transpose()?,
            estimated_wait: failure.estimated_wait.map(duration_from_proto).transpose()?,
            is_expected: failure.is_expected,
        })
    }
}

/// An error as a status, with the whole error in its details. A message of more than 4 KiB is cut.
#[must_use]
pub fn error_to_status(mut error: RequestError) -> Status {
    let code = match error.code {
        ErrorCode::InvalidRequest => Code::InvalidArgument,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::Forbidden => Code::PermissionDenied,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::RequestTooLarge => Code::OutOfRange,
        ErrorCode::Overloaded => Code::ResourceExhausted,
        ErrorCode::Cancelled => Code::Cancelled,
        ErrorCode::Internal => Code::Internal,
        ErrorCode::EngineFailed => Code::Aborted,
        ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
    };
    if let Some(end) = (0..=STATUS_MESSAGE_BYTES_MAX).rev().find(|&end| error.message.is_char_boundary(end)) {
        error.message.truncate(end);
    }
    // The message is in the details. Tools that show only the status get the code's name.
    let name = error.code.as_str();
    Status::with_details(code, name, Bytes::from(proto::Failure::from(error).encode_to_vec()))
}

/// The error that a status stands for. A status without details does not come from a worker: a
/// connection broke, or a proxy answered. Another scheduler may succeed then, unless the message
/// was too large.
#[must_use]
pub fn error_from_status(status: &Status) -> RequestError {
    if !status.details().is_empty()
        && let Ok(failure) = proto::Failure::decode(status.details())
        && let Ok(error) = RequestError::try_from(failure)
    {
        return error;
    }
    // A status that the other side sent has no source here; one of the connection has.
    let is_received = std::error::Error::source(status).is_none();
    let code = match status.code() {
        Code::OutOfRange => ErrorCode::RequestTooLarge,
        Code::Internal | Code::Unimplemented | Code::DataLoss if is_received => ErrorCode::Internal,
        _ => ErrorCode::Unavailable,
    };
    RequestError::new(code, format!("the worker cannot be reached: {}", describe(status)))
}

/// The message of a status, with the messages of its sources.
pub(crate) fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = if text.is_empty() { message } else { format!("{text}: {message}") };
        }
        cause = error.source();
    }
    if text.is_empty() { status.code().description().to_owned() } else { text }
}
