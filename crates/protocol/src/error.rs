//! Request errors: one table of codes that every layer and every transport uses.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Engine;

/// The kind of failure. The HTTP status is a plain number here, so that all transports
/// (HTTP, gRPC) map from the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is invalid and cannot succeed unchanged.
    InvalidRequest,
    /// The API key is missing or unknown.
    Unauthenticated,
    /// The API key does not allow this.
    Forbidden,
    /// The model, request, scheduler or route does not exist.
    NotFound,
    /// The body exceeds the server's limit.
    RequestTooLarge,
    /// The queues are full; retry after `retry_after`.
    Overloaded,
    /// The client disconnected or the request was cancelled.
    Cancelled,
    /// A bug in Hostler.
    Internal,
    /// The engine failed while it ran the request.
    EngineFailed,
    /// No scheduler can take the request now: starting, draining or claimed.
    Unavailable,
    /// The request's deadline passed.
    DeadlineExceeded,
}

/// Whether the same request may succeed on another scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It fails in the same way on every scheduler.
    Never,
    /// Another scheduler may accept it immediately.
    Elsewhere,
}

impl ErrorCode {
    /// Every code, ordered by HTTP status.
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

    /// The name in error bodies and metrics.
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

    /// Whether another scheduler may succeed after one failed with this code.
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

/// A more specific reason for a failure, where clients act on it. It is OpenAI's code for the
/// failure, and changes neither the HTTP status nor whether a retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorReason {
    /// `InvalidRequest`: the prompt is too long, alone or with the tokens to generate. A shorter
    /// prompt would fit; clients shorten the conversation and retry.
    ContextLengthExceeded,
    /// `NotFound`: no scheduler has the model.
    ModelNotFound,
}

impl ErrorReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::ContextLengthExceeded, Self::ModelNotFound];

    /// The name in error bodies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ModelNotFound => "model_not_found",
        }
    }
}

/// A failed request, as reported to the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The reason, where clients distinguish it from others with the same code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ErrorReason>,
    /// One sentence: what was wrong and what to do about it.
    pub message: String,
    /// The request field that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<Cow<'static, str>>,
    /// When to retry, measured from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// How long the request would have waited in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_wait: Option<Duration>,
    /// Whether a healthy scheduler refused: it is starting, draining, claimed or stopped.
    /// The scheduler sets this itself, because its state as others see it may be stale.
    #[serde(skip)]
    pub is_expected: bool,
}

impl RequestError {
    /// An error with a message and nothing else.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
            param: None,
            retry_after: None,
            estimated_wait: None,
            is_expected: false,
        }
    }

    /// `Unavailable`, with this message.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// `InvalidRequest`, naming the field that was wrong.
    #[must_use]
    pub fn invalid(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(ErrorCode::InvalidRequest, message) }
    }

    /// `InvalidRequest`, because a prompt exceeds the context; names the field that was wrong.
    #[must_use]
    pub fn context_length_exceeded(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { reason: Some(ErrorReason::ContextLengthExceeded), ..Self::invalid(param, message) }
    }

    /// `NotFound`: no scheduler has this model; names the models in `served`.
    #[must_use]
    pub fn unknown_model<'a>(model: &str, served: impl IntoIterator<Item = &'a str>) -> Self {
        let served: BTreeSet<&str> = served.into_iter().collect();
        let served = if served.is_empty() { "none".to_owned() } else { Vec::from_iter(served).join(", ") };
        let message = format!("model {model:?} is not served here; served models: {served}");
        Self {
            reason: Some(ErrorReason::ModelNotFound),
            param: Some("model".into()),
            ..Self::new(ErrorCode::NotFound, message)
        }
    }

    /// `Unavailable`: the claim whose token the request carries has ended.
    #[must_use]
    pub fn claim_ended() -> Self {
        Self::unavailable("the claim that this request belongs to has ended")
    }

    /// `Unavailable`: the server is shutting down.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::unavailable("the server is shutting down")
    }

    /// `Cancelled`: the request was cancelled.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorCode::Cancelled, "the request was cancelled")
    }

    /// `DeadlineExceeded`; `when` continues "the request's deadline passed".
    #[must_use]
    pub fn deadline_passed(when: impl Display) -> Self {
        Self::new(ErrorCode::DeadlineExceeded, format!("the request's deadline passed {when}"))
    }

    /// `EngineFailed`: the stream of events ended without `Finished` or `Failed`.
    #[must_use]
    pub fn ended_without_final_event() -> Self {
        Self::new(ErrorCode::EngineFailed, "the generation ended without a final event")
    }

    /// `InvalidRequest`: this engine does not support embeddings.
    #[must_use]
    pub fn no_embeddings(engine: Engine) -> Self {
        let message = format!("the engine {} does not support embeddings", engine.as_str());
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// The most specific name of the failure: its reason, or else its code.
    #[must_use]
    pub fn specific_name(&self) -> &'static str {
        self.reason.map_or(self.code.as_str(), ErrorReason::as_str)
    }

    /// The same error, marked as the refusal of a healthy scheduler.
    #[must_use]
    pub fn expected(mut self) -> Self {
        self.is_expected = true;
        self
    }

    /// The same error, with a time after which to retry.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_lists_the_served_ones_once_and_sorted() {
        let error = RequestError::unknown_model("c", ["b", "a", "b"]);
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::NotFound, Some("model")));
        assert_eq!(error.specific_name(), "model_not_found");
        assert!(error.message.ends_with("served models: a, b"), "{error}");
        assert!(RequestError::unknown_model("c", []).message.ends_with("served models: none"));
    }
}
