//! Why a server cannot be measured at all.

/// Why a server cannot be measured at all.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is not one that can be asked.
    #[error("{url:?} cannot be used: {reason}; write it as http://host:port")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers, or not in the way of such a server.
    #[error("cannot ask {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why it did not work.
        reason: String,
    },
    /// It lists no model, and none was named.
    #[error("{url} lists no model; name one")]
    NoModel {
        /// The server.
        url: String,
    },
}
