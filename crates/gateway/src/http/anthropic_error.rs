//! Errors in the shape of Anthropic's API, for the paths below `/v1/messages`.

use std::borrow::Cow;

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use hostler_protocol::RequestError;
use serde::Serialize;

use super::context::RequestContext;
use super::error::{ApiError, shortened};
use super::limits::ERROR_MESSAGE_BYTES_MAX;

/// The header in which Anthropic's clients look for the request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Whether errors of a path, whatever detects them, have this shape.
pub(super) fn applies_to(path: &str) -> bool {
    path.strip_prefix("/v1/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `{"type": "error", "error": {…}, "request_id": …}`
#[derive(Serialize)]
pub(crate) struct AnthropicError<'a> {
    r#type: &'static str,
    error: Detail<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Detail<'a> {
    r#type: &'static str,
    message: Cow<'a, str>,
}

impl<'a> AnthropicError<'a> {
    /// A failure of the common table of codes.
    pub(crate) fn new(error: &'a RequestError, context: &'a RequestContext) -> Self {
        let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::with_status(status, Cow::Borrowed(&error.message), context)
    }

    fn with_status(status: StatusCode, message: Cow<'a, str>, context: &'a RequestContext) -> Self {
        let message = match message {
            Cow::Borrowed(message) => shortened(message, ERROR_MESSAGE_BYTES_MAX),
            Cow::Owned(message) => Cow::Owned(shortened(&message, ERROR_MESSAGE_BYTES_MAX).into_owned()),
        };
        Self { r#type: "error", error: Detail { r#type: error_type(status), message }, request_id: &context.request_id }
    }
}

/// The body of the response that an error becomes.
pub(super) fn body(error: &ApiError, context: &RequestContext) -> String {
    let body = match error {
        ApiError::Request(error) => AnthropicError::new(error, context),
        other => AnthropicError::with_status(other.status_code(), Cow::Owned(other.to_string()), context),
    };
    serde_json::to_string(&body).expect("strings can always be written as JSON")
}

/// The `type` of an error in Anthropic's API.
fn error_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_messages_have_this_shape() {
        for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches/1"] {
            assert!(applies_to(path), "{path}");
        }
        for path in ["/v1/message", "/v1/messagesx", "/v1/chat/completions", "/"] {
            assert!(!applies_to(path), "{path}");
        }
    }
}
