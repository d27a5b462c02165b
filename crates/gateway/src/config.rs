//! What can be set on the gateway.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The gateway's configuration. The binary fills it from the configuration
/// file; every value is taken as valid here.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where to listen. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Threads that speak HTTP, at least 1. Two carry thousands of tokens a
    /// second; the other cores belong to the engines.
    pub workers: usize,
    /// Most connections of one worker; more wait to be accepted.
    pub connections_max: usize,
    /// Largest request body, in bytes; more is answered with 413. A context of
    /// 128k tokens fits into the default of 1 MiB.
    pub body_bytes_max: usize,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a client may take to send a request's head.
    pub head_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a request may take at most, queue included; also the largest
    /// `timeout` that a request may name.
    pub request_timeout: Duration,
    /// How long a client may leave what was sent to it unread before its
    /// connection is closed. Kept by the kernel (`TCP_USER_TIMEOUT`, on Linux).
    pub stalled_client_timeout: Duration,
    /// How long a shutdown says at `/readyz` that it comes before it takes no more
    /// connections.
    pub unready: Duration,
    /// How long requests may go on after that.
    pub drain_timeout: Duration,
    /// Who may use the API. Empty: everyone may, everything.
    pub api_keys: Vec<ApiKey>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 2,
            connections_max: 4096,
            body_bytes_max: 1024 * 1024,
            keep_alive: Duration::from_secs(75),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(600),
            stalled_client_timeout: Duration::from_secs(60),
            unready: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            api_keys: Vec::new(),
        }
    }
}

/// An API key: `Authorization: Bearer <key>`.
#[derive(Clone)]
pub struct ApiKey {
    /// Whose it is: the tenant that requests are accounted to.
    pub name: String,
    /// The secret.
    pub key: String,
    /// Whether it opens `/admin` too.
    pub admin: bool,
}

/// Without the secret.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).field("admin", &self.admin).finish_non_exhaustive()
    }
}
