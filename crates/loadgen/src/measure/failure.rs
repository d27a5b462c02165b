//! Why a request failed.

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};

/// Why a request has no complete answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error status.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The server's error message, or the start of its body.
        message: String,
    },
    /// A stream that had begun contained an error event.
    #[error("the stream ended with an error event: {0}")]
    Reported(String),
    /// A layer below HTTP returned an error.
    #[error("{}: {message}", code.as_str())]
    Code {
        /// The error's code.
        code: ErrorCode,
        /// The error's message.
        message: String,
    },
    /// The connection failed or broke.
    #[error("connection: {0}")]
    Connection(String),
    /// The answer does not follow the OpenAI API.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The request exceeded its time limit.
    #[error("no complete answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The client disconnected early, as the workload planned. Results do not count this
    /// as a failed request.
    #[error("the client disconnected, as planned")]
    Disconnected,
}

impl Failure {
    /// The kind of failure under which results count it.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Status { status, .. } => format!("http_{status}"),
            Self::Code { code, .. } => code.as_str().to_owned(),
            Self::Reported(_) => "error_event".to_owned(),
            Self::Connection(_) => "connection".to_owned(),
            Self::Protocol(_) => "protocol".to_owned(),
            Self::TimedOut(_) => "timed_out".to_owned(),
            Self::Disconnected => "left".to_owned(),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Code { code: error.code, message: error.message }
    }
}
