//! `[server]`: the HTTP server and its clients.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::Problem;
use crate::fields::{DAY_SECONDS, ordered, seconds};
use crate::rules::{NAME_ALLOWED, is_name};

/// Short keys can be guessed; this bound also refuses an empty one.
const API_KEY_BYTES_MIN: usize = 8;

/// `[server]`: the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ServerConfig {
    /// Address on which the HTTP server listens. Port 0 takes a free one. Use 0.0.0.0:8080
    /// to serve other machines, and set api_keys then.
    #[schemars(with = "String", extend("x-allowed" = "IP:PORT"))]
    pub address: SocketAddr,
    /// The clients that may use the API: NAME is the tenant that requests are accounted to,
    /// KEY is sent as `Authorization: Bearer KEY`, and admin also permits /admin. Empty:
    /// every client may do everything.
    #[schemars(extend("x-allowed" = "NAME = { key = \"KEY\", admin = false }, keys of 8 or more characters"))]
    pub api_keys: BTreeMap<String, ApiKey>,
    /// Names of this server that clients may use in their URLs while api_keys is empty, besides
    /// localhost and IP addresses. Any other name could be one that a web page lets resolve
    /// to this machine, to use the API from a browser.
    #[schemars(extend("x-allowed" = "names without a port"))]
    pub hosts: Vec<String>,
    /// Threads that serve HTTP. Two carry thousands of tokens a second; leave the other
    /// cores to the engines.
    #[schemars(range(min = 1, max = 256))]
    pub http_threads: usize,
    /// Maximum number of connections of one HTTP thread; further ones wait to be accepted.
    /// Together with body_bytes_max this bounds memory.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_max: usize,
    /// Maximum size of a request body, in bytes; a larger one is answered with 413. A
    /// context of 128k tokens fits into the default of 1 MiB.
    #[schemars(range(min = 1024, max = 1 << 30))]
    pub body_bytes_max: usize,
    /// Maximum number of answers of one request: its prompts times n. Eight are generated at
    /// a time, the others follow in order.
    #[schemars(range(min = 1, max = 128))]
    pub answers_max: u32,
    /// What happens to fields of a body that Hostler does not know, on OpenAI's endpoints:
    /// ignore them and name them in x-hostler-ignored, or refuse the request. A probable
    /// misspelling of a known field is always refused.
    pub unknown_fields: UnknownFields,
    /// Regular expressions of lines that are removed from the system messages of chats. Agents
    /// write lines there that change with each request, such as billing or session ids; with
    /// them, no request shares a cached prefix with an earlier one.
    #[schemars(extend("x-allowed" = "regular expressions, such as \"^x-anthropic-billing-header:\""))]
    pub system_lines_removed: Vec<String>,
    /// Maximum time for a client to send the head of a request.
    #[serde(rename = "head_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 600))]
    pub head_timeout: Duration,
    /// Maximum time for a client to send the body of a request.
    #[serde(rename = "body_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 3600))]
    pub body_timeout: Duration,
    /// Time for which an idle connection is kept open. Set it longer than a load balancer
    /// in front keeps its connections, or the balancer sends requests on connections that
    /// have just been closed.
    #[serde(rename = "keep_alive_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub keep_alive: Duration,
    /// Maximum duration of a request, including its time in the queue; after that it ends
    /// with 504. Also the largest timeout that a request may set.
    #[serde(rename = "request_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub request_timeout: Duration,
    /// Time for which a client may leave sent data unread before its connection is closed.
    ///
    /// The kernel enforces it, on Linux: `TCP_USER_TIMEOUT`.
    #[serde(rename = "stalled_client_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub stalled_client_timeout: Duration,
    /// At shutdown, time for which the server continues to serve while /readyz answers 503,
    /// so that a load balancer sends new requests elsewhere. After that no new connections
    /// are accepted.
    #[serde(rename = "unready_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = 3600))]
    pub unready: Duration,
    /// Maximum time that a shutdown waits for running requests.
    #[serde(rename = "drain_timeout_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 0, max = DAY_SECONDS))]
    pub drain_timeout: Duration,
}

/// What happens to unknown fields of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownFields {
    /// They are ignored. Routers and SDKs add fields of their own.
    #[default]
    Ignore,
    /// They are refused.
    Refuse,
}

/// `[server.api_keys.NAME]`: a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = ordered::<Self>)]
pub struct ApiKey {
    /// What the client sends as `Authorization: Bearer KEY`.
    #[schemars(extend("writeOnly" = true, "x-allowed" = KEY_ALLOWED))]
    pub key: Secret,
    /// Whether the client may use /admin too.
    #[serde(default)]
    pub admin: bool,
}

const KEY_ALLOWED: &str = "8 or more ASCII letters, digits and signs, without spaces";

/// A key or password. It prints and serialises as dots.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            api_keys: BTreeMap::new(),
            hosts: Vec::new(),
            http_threads: 2,
            connections_max: 4096,
            body_bytes_max: 1024 * 1024,
            answers_max: 128,
            unknown_fields: UnknownFields::default(),
            system_lines_removed: Vec::new(),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(600),
            stalled_client_timeout: Duration::from_secs(60),
            unready: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    /// What is wrong with names, patterns and keys. Messages do not show keys.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for host in &self.hosts {
            if !is_host(host) {
                let message = format!("{host:?} is not allowed; allowed are names without a port, such as \"gateway\"");
                problems.push(Problem::new("server.hosts", message));
            }
        }
        for pattern in &self.system_lines_removed {
            if let Err(error) = Regex::new(pattern) {
                problems
                    .push(Problem::new("server.system_lines_removed", format!("{pattern:?} is not allowed: {error}")));
            }
        }
        for (name, client) in &self.api_keys {
            let mut refuse = |message: &str| problems.push(Problem::new(format!("server.api_keys.{name}"), message));
            if !is_name(name) {
                refuse(NAME_ALLOWED);
            }
            let secret = client.key.reveal();
            if secret.len() < API_KEY_BYTES_MIN || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                refuse(&format!("the key is not allowed; allowed are {KEY_ALLOWED}"));
            }
            if self.api_keys.iter().any(|(other, theirs)| other < name && theirs.key == client.key) {
                refuse("another client has the same key; each client needs its own");
            }
        }
        problems
    }
}

/// Whether a text can be a name in a URL.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl Secret {
    /// The value itself, to compare it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"…\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}
