//! How a request of a benchmark fails.

use std::time::Duration;

use hostler_protocol::ErrorCode;

/// Why a request brought no complete answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The server answered with an error status.
    #[error("status {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        message: String,
    },
    /// The stream of an answer that had begun contained an error.
    #[error("the answer broke off with an error: {0}")]
    Reported(String),
    /// A layer below HTTP failed.
    #[error("{}: {message}", code.as_str())]
    Code {
        /// What kind of failure it is.
        code: ErrorCode,
        /// What it said.
        message: String,
    },
    /// No connection, or it broke.
    #[error("connection: {0}")]
    Connection(String),
    /// The answer is not what an OpenAI-compatible server sends.
    #[error("protocol: {0}")]
    Protocol(String),
    /// It took too long.
    #[error("no complete answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The client left before the answer was complete, as the plan says. It is no
    /// failure of the server, and does not count as one.
    #[error("the client left, as planned")]
    Left,
}

impl Failure {
    /// The kind of failure, under which results count it.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Status { status, .. } => format!("http_{status}"),
            Self::Code { code, .. } => code.as_str().to_owned(),
            Self::Reported(_) => "error_event".to_owned(),
            Self::Connection(_) => "connection".to_owned(),
            Self::Protocol(_) => "protocol".to_owned(),
            Self::TimedOut(_) => "timed_out".to_owned(),
            Self::Left => "left".to_owned(),
        }
    }
}
