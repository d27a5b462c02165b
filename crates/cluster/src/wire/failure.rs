//! Failures: a [`RequestError`] as a message, and as a gRPC status.

use bytes::Bytes;
use hostler_protocol::{ErrorCode, RequestError};
use prost::Message;
use tonic::{Code, Status};

use super::{Malformed, proto};

/// Longest message in a status, in bytes. It travels in a header, and HTTP/2
/// implementations take 16 KiB of headers; details grow by a third on the way.
const STATUS_MESSAGE_BYTES_MAX: usize = 4096;

impl From<RequestError> for proto::Failure {
    fn from(error: RequestError) -> Self {
        Self {
            code: proto::ErrorCode::from(error.code).into(),
            message: error.message,
            param: error.param.map(Into::into),
            retry_after: error.retry_after.map(Into::into),
            estimated_wait: error.estimated_wait.map(Into::into),
            is_orderly: error.is_expected,
        }
    }
}

impl TryFrom<proto::Failure> for RequestError {
    type Error = Malformed;

    fn try_from(failure: proto::Failure) -> Result<Self, Malformed> {
        Ok(Self {
            code: failure.code().try_into()?,
            message: failure.message,
            param: failure.param.map(Into::into),
            retry_after: failure.retry_after.map(TryInto::try_into).transpose()?,
            estimated_wait: failure.estimated_wait.map(TryInto::try_into).transpose()?,
            is_expected: failure.is_orderly,
        })
    }
}

/// A refusal as a status, whose details hold all of it. A message of more than 4 KiB
/// is cut.
#[must_use]
pub fn status(mut error: RequestError) -> Status {
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
    // The words stand in the details; what else shows a status gets the code's name.
    let name = error.code.as_str();
    Status::with_details(code, name, Bytes::from(proto::Failure::from(error).encode_to_vec()))
}

/// What a status means. One without details is not of a worker's making: a connection
/// broke, or something stands in between. Another scheduler may succeed then, but for a
/// message that is larger than any takes.
#[must_use]
pub fn refusal(status: &Status) -> RequestError {
    if !status.details().is_empty()
        && let Ok(failure) = proto::Failure::decode(status.details())
        && let Ok(error) = RequestError::try_from(failure)
    {
        return error;
    }
    // What the other side said has no cause here; what the connection met has.
    let is_said = std::error::Error::source(status).is_none();
    let code = match status.code() {
        Code::OutOfRange => ErrorCode::RequestTooLarge,
        Code::Internal | Code::Unimplemented | Code::DataLoss if is_said => ErrorCode::Internal,
        _ => ErrorCode::Unavailable,
    };
    RequestError::new(code, format!("the worker cannot be reached: {}", describe(status)))
}

/// A status in words: its own, and those of what caused it.
pub(crate) fn describe(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.contains(&said) {
            words = if words.is_empty() { said } else { format!("{words}: {said}") };
        }
        cause = error.source();
    }
    if words.is_empty() { status.code().description().to_owned() } else { words }
}
