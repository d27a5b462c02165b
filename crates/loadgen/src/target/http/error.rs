//! Errors of the HTTP client.

use std::error::Error;
use std::io;

/// Why a server cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is invalid.
    #[error("{url:?} cannot be used: {reason}; write it as http://host:port")]
    Url {
        /// The URL as given.
        url: String,
        /// The cause.
        reason: String,
    },
    /// The server does not answer, or not like an OpenAI-compatible server.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The requested URL.
        url: String,
        /// The cause.
        reason: String,
    },
    /// The server lists no model, and none was configured.
    #[error("{url} lists no model; name one")]
    NoModel {
        /// The server.
        url: String,
    },
}

/// An error with its causes: the outermost error alone says only "client error".
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Whether the server closed the connection instead of answering.
pub(super) fn is_closed_connection(error: &(dyn Error + 'static)) -> bool {
    let is_closed = |kind| matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    let mut cause = Some(error);
    while let Some(error) = cause {
        let by_hyper = error.downcast_ref::<hyper::Error>();
        let by_system = error.downcast_ref::<io::Error>();
        if by_hyper.is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
            || by_system.is_some_and(|error| is_closed(error.kind()))
        {
            return true;
        }
        cause = error.source();
    }
    false
}
