//! The sections of the configuration but for schedulers. [`crate::KEYS`] says what
//! each key means and allows.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{OtlpEndpoint, SampleRatio, Secret};

/// `[server]`: the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Clients by name; none: everyone may come in.
    pub api_keys: BTreeMap<String, ApiKeySettings>,
    /// Threads that speak HTTP.
    pub http_threads: u32,
    /// Most connections of one such thread.
    pub connections_max: u32,
    /// Largest request body, in bytes.
    pub body_bytes_max: u32,
    /// How long a client may take to send a request's head, in seconds.
    pub head_timeout_seconds: u64,
    /// How long a client may take to send a request's body, in seconds.
    pub body_timeout_seconds: u64,
    /// How long an idle connection is kept, in seconds.
    pub keep_alive_seconds: u64,
    /// How long a request may take at most, in seconds.
    pub request_timeout_seconds: u64,
    /// How long a client may leave unread what was sent to it, in seconds.
    pub stalled_client_timeout_seconds: u64,
    /// How long a shutdown is announced before no connection is taken any more, in seconds.
    pub unready_seconds: u64,
    /// How long a shutdown waits for running requests, in seconds.
    pub drain_timeout_seconds: u64,
}

/// `[server.api_keys.NAME]`: a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySettings {
    /// What it sends as `Authorization: Bearer KEY`.
    pub key: Secret,
    /// Whether it may use the administration API too.
    #[serde(default)]
    pub admin: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            api_keys: BTreeMap::new(),
            http_threads: 2,
            connections_max: 4096,
            body_bytes_max: 1024 * 1024,
            head_timeout_seconds: 10,
            body_timeout_seconds: 30,
            keep_alive_seconds: 75,
            request_timeout_seconds: 600,
            stalled_client_timeout_seconds: 60,
            unready_seconds: 0,
            drain_timeout_seconds: 30,
        }
    }
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// Which events: a level, or `RUST_LOG`'s syntax.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// `[tracing]`: what is recorded of requests, and who gets it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracingSettings {
    /// The collector; `None`: nothing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<OtlpEndpoint>,
    /// The share of requests that is recorded.
    pub sample_ratio: SampleRatio,
}

/// `[models]`: where models are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The folder; `None`: the user's data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
}

/// `[router]`: which scheduler serves a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterSettings {
    /// How one is chosen.
    pub policy: RoutingPolicy,
    /// Most requests in the router at once.
    pub requests_max: u32,
    /// Most schedulers that one request is offered to.
    pub attempts_max: u32,
    /// Retries for each hundred requests.
    pub retry_share_percent: u32,
    /// Retries a second beside.
    pub retries_per_second: u32,
    /// Most times that one answer is continued on another scheduler.
    pub moves_max: u32,
    /// How long one that can continue an answer is looked for, in seconds.
    pub move_wait_seconds: u64,
    /// Failures in a row after which a scheduler is left alone.
    pub breaker_failures: u32,
    /// For how long, in seconds.
    pub breaker_open_seconds: u64,
    /// How long a newcomer gets less than its share, in seconds.
    pub slow_start_seconds: u64,
    /// Longest time that a request waits for a claim to end, in seconds.
    pub wait_seconds_max: u64,
}

/// How the router chooses a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingPolicy {
    /// The one with the least token work outstanding.
    LeastLoaded,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// Of two drawn at random, the less loaded.
    PowerOfTwo,
    /// The one that has read the longest beginning of the prompt.
    PrefixAware,
    /// The one that the session belongs to.
    Session,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            policy: RoutingPolicy::LeastLoaded,
            requests_max: 4096,
            attempts_max: 3,
            wait_seconds_max: 120,
            retry_share_percent: 20,
            retries_per_second: 10,
            moves_max: 2,
            move_wait_seconds: 10,
            breaker_failures: 5,
            breaker_open_seconds: 5,
            slow_start_seconds: 10,
        }
    }
}

/// `[benchmarks]`: what operators measure on the live server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkSettings {
    /// The folder of results; `None`: the user's data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// Most benchmarks that wait for their turn.
    pub queue_max: u32,
    /// Most results that are kept.
    pub kept_max: u32,
    /// Longest time that a benchmark may take, in seconds.
    pub seconds_max: u64,
}

impl Default for BenchmarkSettings {
    fn default() -> Self {
        Self { store: None, queue_max: 8, kept_max: 100, seconds_max: 3600 }
    }
}
