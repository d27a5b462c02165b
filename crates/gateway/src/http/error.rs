//! Errors as HTTP responses: OpenAI's error JSON, with the status of the error's code.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use hostler_protocol::{ErrorCode, RequestError};
use serde::Serialize;

use super::limits::ERROR_MESSAGE_BYTES_MAX;

/// When to retry, if the error does not say.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// A failure of the common table of codes.
    Request(RequestError),
    /// The route exists, for other methods. This failure exists only in HTTP.
    MethodNotAllowed {
        /// The methods that it accepts, comma-separated.
        allowed: String,
    },
    /// The body is declared in a form that is not accepted. This failure exists only in HTTP.
    UnsupportedMediaType {
        /// The request's header that declares it.
        declared_in: &'static str,
        /// The response's header that says what is accepted.
        accepts: (HeaderName, &'static str),
        message: String,
    },
}

impl ApiError {
    /// Its code in metrics and logs. Bodies have a more specific one where there is one.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Request(error) => error.code.as_str(),
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::UnsupportedMediaType { .. } => "unsupported_media_type",
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::MethodNotAllowed { allowed } => write!(f, "the endpoint accepts only {allowed}"),
            Self::UnsupportedMediaType { message, .. } => f.write_str(message),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Request(error) => {
                StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Request(error) => {
                if let Some(wait) = retry_after(error) {
                    response.insert_header((RETRY_AFTER, whole_seconds(wait).to_string()));
                }
                response.json(ErrorBody::new(error))
            }
            Self::MethodNotAllowed { allowed } => {
                let error = RequestError::new(ErrorCode::InvalidRequest, self.to_string());
                response.insert_header((ALLOW, allowed.as_str())).json(ErrorBody::with_code(&error, self.code()))
            }
            Self::UnsupportedMediaType { declared_in, accepts, message } => {
                let error = RequestError::invalid(*declared_in, message);
                response.insert_header(accepts.clone()).json(ErrorBody::with_code(&error, self.code()))
            }
        }
    }
}

/// `{"error": {…}}`
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    message: Cow<'a, str>,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_wait_seconds: Option<f64>,
}

impl<'a> ErrorBody<'a> {
    /// The body of a failure that exists only in HTTP, with a code of its own.
    fn with_code(error: &'a RequestError, code: &'static str) -> Self {
        let mut body = Self::new(error);
        body.error.code = code;
        body
    }

    pub(crate) fn new(error: &'a RequestError) -> Self {
        Self {
            error: ErrorDetail {
                message: shortened(&error.message, ERROR_MESSAGE_BYTES_MAX),
                r#type: openai_type(error.code),
                param: error.param.as_deref(),
                code: error.specific_name(),
                retry_after_seconds: retry_after(error).map(|wait| wait.as_secs_f64()),
                estimated_wait_seconds: error.estimated_wait.map(|wait| wait.as_secs_f64()),
            },
        }
    }
}

/// The `type` of an error in OpenAI's API.
fn openai_type(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::NotFound | ErrorCode::RequestTooLarge | ErrorCode::Cancelled => {
            "invalid_request_error"
        }
        ErrorCode::Unauthenticated => "authentication_error",
        ErrorCode::Forbidden => "permission_error",
        ErrorCode::Overloaded => "rate_limit_error",
        ErrorCode::Internal | ErrorCode::EngineFailed | ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
            "server_error"
        }
    }
}

/// When to retry; only for codes that a retry can succeed after.
fn retry_after(error: &RequestError) -> Option<Duration> {
    matches!(error.code, ErrorCode::Overloaded | ErrorCode::Unavailable)
        .then(|| error.retry_after.or(error.estimated_wait).unwrap_or(RETRY_AFTER_DEFAULT))
}

/// `Retry-After` has whole seconds; a second too late is better than one too early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The first `bytes_max` bytes of a text, cut between characters.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_rounded_up_and_never_zero() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }

    #[test]
    fn every_code_keeps_its_status() {
        for code in ErrorCode::ALL {
            let error = ApiError::from(RequestError::new(code, "m"));
            assert_eq!(error.status_code().as_u16(), code.http_status());
            let retries = error.error_response().headers().contains_key(RETRY_AFTER);
            assert_eq!(retries, matches!(code, ErrorCode::Overloaded | ErrorCode::Unavailable), "{code:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = shortened("ééé", 3);
        assert_eq!(cut, "é…");
    }
}
