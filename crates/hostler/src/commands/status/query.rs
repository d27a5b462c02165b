//! Queries a Hostler for its cluster.

use std::fmt;
use std::time::Duration;

use hostler_gateway::admin::ClusterBody;
use hyper::{Method, StatusCode};

use crate::client::{ApiClient, ClientError, read};

const PATH: &str = "/admin/cluster";

/// How long the whole response may take. The gateway queries nothing else for it, so
/// milliseconds are usual.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest response, in bytes: ten thousand schedulers.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A response.
pub(super) struct Answer {
    /// The response's body as it was received, one line.
    pub(super) json: String,
    pub(super) cluster: ClusterBody,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum QueryError {
    /// The server is unavailable; a later query may succeed.
    Unavailable(String),
    /// Every later query would fail too.
    Refused(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(reason) | Self::Refused(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for QueryError {}

impl From<ClientError> for QueryError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => {
                Self::Refused(format!("{error}; pass an admin's key with --api-key or HOSTLER_API_KEY"))
            }
            ClientError::Status { status, .. } if !status.is_server_error() => Self::Refused(error.to_string()),
            ClientError::Status { .. } | ClientError::Unreachable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Queries the server once.
///
/// # Errors
/// If it does not respond in time, refuses, or is no Hostler.
pub(super) async fn cluster(client: &ApiClient) -> Result<Answer, QueryError> {
    let url = client.url(PATH);
    let query = async {
        let body = read(client.send(Method::GET, PATH, Vec::new()).await?, BODY_BYTES_MAX).await?;
        let json = String::from_utf8_lossy(&body).trim().to_owned();
        match serde_json::from_str(&json) {
            Ok(cluster) => Ok(Answer { json, cluster }),
            Err(error) => Err(QueryError::Refused(format!("the response of {url} is not a Hostler's: {error}"))),
        }
    };
    tokio::time::timeout(TIMEOUT, query).await.unwrap_or_else(|_| {
        Err(QueryError::Unavailable(format!("{url} did not respond within {} s", TIMEOUT.as_secs())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_failures_are_retried() {
        let error = |status: u16, message: Option<&str>| {
            QueryError::from(ClientError::Status {
                url: "http://h:1/admin/cluster".to_owned(),
                status: StatusCode::from_u16(status).expect("a status"),
                message: message.map(str::to_owned),
            })
        };
        for status in [401, 403] {
            let refused = error(status, Some("the API key is unknown"));
            assert!(matches!(
                &refused,
                QueryError::Refused(reason) if reason.contains("is unknown") && reason.contains("--api-key")
            ));
        }
        assert!(matches!(error(404, None), QueryError::Refused(reason) if reason.contains("not a Hostler")));
        assert!(matches!(error(503, Some("shutting down")), QueryError::Unavailable(_)));
    }
}
