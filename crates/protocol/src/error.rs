//! How a request fails: one table of codes, used by every layer and every edge.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What went wrong, as the client is told. The HTTP status stands here as a
/// plain number, so that every edge (HTTP, gRPC) maps from the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request can never succeed as it is.
    InvalidRequest,
    /// No API key, or an unknown one.
    Unauthenticated,
    /// The key may not do this.
    Forbidden,
    /// No such model, request, scheduler or route.
    NotFound,
    /// The body is larger than the server reads.
    RequestTooLarge,
    /// Queues are full: come back after `retry_after`.
    Overloaded,
    /// The client left, or someone cancelled the request.
    Cancelled,
    /// A fault of Hostler's own.
    Internal,
    /// The engine failed while it had the request.
    EngineFailed,
    /// Nothing can serve it now: starting, draining or claimed.
    Unavailable,
    /// The request's deadline passed.
    DeadlineExceeded,
}

/// Whether the same request may succeed if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will fail in the same way everywhere.
    Never,
    /// Another scheduler may take it at once.
    Elsewhere,
}

impl ErrorCode {
    /// Every code, in the order of their HTTP status.
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::RequestTooLarge,
        Self::Overloaded,
        Self::Cancelled,
        Self::Internal,
        Self::EngineFailed,
        Self::Unavailable,
        Self::DeadlineExceeded,
    ];

    /// The HTTP status code.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::RequestTooLarge => 413,
            Self::Overloaded => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::EngineFailed => 502,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The code's name in `snake_case`, as it stands in error bodies and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RequestTooLarge => "request_too_large",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
            Self::EngineFailed => "engine_failed",
            Self::Unavailable => "unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
        }
    }

    /// Whether another scheduler may succeed where one answered with this code.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Overloaded | Self::EngineFailed | Self::Unavailable => Retry::Elsewhere,
            Self::InvalidRequest
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::RequestTooLarge
            | Self::Cancelled
            | Self::Internal
            | Self::DeadlineExceeded => Retry::Never,
        }
    }
}

/// Why a request failed, in the words that the client reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// One sentence: what was wrong and, where it helps, what is allowed.
    pub message: String,
    /// The request field that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<Cow<'static, str>>,
    /// When to come back, measured from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// How long the request would have waited in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_wait: Option<Duration>,
    /// Whether a scheduler that refuses is in order: it starts, drains, is claimed or has
    /// been stopped. It knows best; what others see of its state may be older.
    #[serde(skip)]
    pub is_orderly: bool,
}

impl RequestError {
    /// A failure with a message and nothing else.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None, estimated_wait: None, is_orderly: false }
    }

    /// The same refusal, by a scheduler with which nothing is wrong.
    #[must_use]
    pub fn orderly(mut self) -> Self {
        self.is_orderly = true;
        self
    }

    /// A refusal that names the field that was wrong.
    #[must_use]
    pub fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(ErrorCode::InvalidRequest, message) }
    }

    /// The same failure, with a time after which to come back.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}
