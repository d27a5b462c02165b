//! `[server]`: the HTTP server and its clients.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::{DAY_SECONDS, ordered, seconds};
use crate::rules::{is_origin, serves_other_machines, unpaired};
use crate::{ApiKey, ConfigError, Problem, StoredResponsesConfig};

/// `[server]`: the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ServerConfig {
    /// Address on which the HTTP server listens. Port 0 takes a free one. Use 0.0.0.0:8080
    /// to serve other machines, which requires api_keys or open_to_everyone.
    #[schemars(with = "String", extend("x-allowed" = "IP:PORT"))]
    pub address: SocketAddr,
    /// The clients that may use the API. KEY is sent as `Authorization: Bearer KEY` or
    /// `x-api-key: KEY`; a role is user, observer, operator or admin. "API keys" in
    /// docs/configuration.md describes the other keys of this table. Empty: every client may
    /// do everything.
    #[schemars(extend("x-allowed" = "NAME = { key = \"KEY\", role = \"user\" }, keys of 8 or more characters"))]
    pub api_keys: BTreeMap<String, ApiKey>,
    /// A file with more API keys, a table for each: `[NAME]` with the keys of api_keys. It is
    /// read again when it changes. POST and DELETE /admin/keys change it. With it, no client
    /// is served without a key, even if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a TOML file, which need not exist"))]
    pub key_file: Option<PathBuf>,
    /// A file to which a line of JSON is appended for each administrative act: who did what,
    /// with which outcome. Omitted: these lines are in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a file"))]
    pub audit_file: Option<PathBuf>,
    /// Origins of web pages that may use the API from a browser (CORS). Empty: none may.
    #[schemars(extend("x-allowed" = "a list of https://HOST or http://HOST, with the port if it is not the default"))]
    pub cors_origins: Vec<String>,
    /// Whether to serve other machines although api_keys is empty. Otherwise such an address
    /// is refused at the start.
    pub open_to_everyone: bool,
    /// Whether GET /metrics needs no key. If false, and keys are configured, it requires the
    /// role observer, operator or admin.
    pub open_metrics: bool,
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
    /// Whether the prompts of different clients of api_keys share cached prefixes. That saves
    /// work if they have long prompts in common, but a client can then find out from
    /// `cached_tokens` and response times what another one has asked.
    pub share_prefixes: bool,
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
    /// `[server.tls]`: for clients that connect by `https`.
    pub tls: ServerTlsConfig,
    /// `[server.responses]`: the stored answers of `POST /v1/responses`.
    pub responses: StoredResponsesConfig,
}

/// `[server.tls]`: how the server authenticates itself, and clients to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ServerTlsConfig {
    /// The certificate that the HTTP server presents, followed by those of intermediate
    /// authorities. With it, the server speaks only TLS: 1.2 or 1.3, HTTP/1.1 or HTTP/2. It is
    /// read again when it changes. Requires server.tls.key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub certificate: Option<PathBuf>,
    /// The private key of that certificate. It is read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub key: Option<PathBuf>,
    /// Certificate of the authority that signs the certificates which clients must present, in
    /// addition to their API keys. Omitted: clients need no certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a PEM file"))]
    pub client_authority: Option<PathBuf>,
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

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            api_keys: BTreeMap::new(),
            key_file: None,
            audit_file: None,
            cors_origins: Vec::new(),
            open_to_everyone: false,
            open_metrics: true,
            hosts: Vec::new(),
            http_threads: 2,
            connections_max: 4096,
            body_bytes_max: 1024 * 1024,
            answers_max: 128,
            unknown_fields: UnknownFields::default(),
            share_prefixes: false,
            system_lines_removed: Vec::new(),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(600),
            stalled_client_timeout: Duration::from_secs(60),
            unready: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            tls: ServerTlsConfig::default(),
            responses: StoredResponsesConfig::default(),
        }
    }
}

impl ServerConfig {
    /// What is wrong with names, patterns, origins and keys. Messages do not show keys.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for host in &self.hosts {
            if !is_host(host) {
                let message = format!("{host:?} is not allowed; allowed are names without a port, such as \"gateway\"");
                problems.push(Problem::new("server.hosts", message));
            }
        }
        problems.extend(unpaired("server.tls", self.tls.certificate.as_ref(), self.tls.key.as_ref()));
        if self.tls.client_authority.is_some() && self.tls.certificate.is_none() {
            let message = "it is missing; a server that verifies clients needs a certificate of its own";
            problems.push(Problem::new("server.tls.certificate", message));
        }
        for origin in self.cors_origins.iter().filter(|origin| !is_origin(origin)) {
            let message = format!("{origin:?} is not allowed; allowed are origins such as \"https://app.example\"");
            problems.push(Problem::new("server.cors_origins", message));
        }
        for pattern in &self.system_lines_removed {
            if let Err(error) = Regex::new(pattern) {
                problems
                    .push(Problem::new("server.system_lines_removed", format!("{pattern:?} is not allowed: {error}")));
            }
        }
        for (name, client) in &self.api_keys {
            let mut found = client.problems(name);
            let hash = client.sha256();
            if hash.is_some() && self.api_keys.iter().any(|(other, theirs)| other < name && theirs.sha256() == hash) {
                found.push("another client has the same key; each client needs its own".to_owned());
            }
            let key = format!("server.api_keys.{name}");
            problems.extend(found.into_iter().map(|message| Problem::new(key.as_str(), message)));
        }
        problems
    }

    /// Whether clients need no key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.api_keys.is_empty() && self.key_file.is_none()
    }

    /// The scheme of the server's URLs.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.certificate.is_some() { "https" } else { "http" }
    }

    /// Refuses to serve other machines without keys.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn check_exposure(&self) -> Result<(), ConfigError> {
        if self.open_to_everyone || !self.is_open() || !serves_other_machines(&self.address) {
            return Ok(());
        }
        let message = format!(
            "{} can be reached from other machines, and no API keys are configured: set server.api_keys \
             or server.key_file, or server.open_to_everyone = true to let every client that can connect do everything",
            self.address
        );
        Err(ConfigError::Invalid(vec![Problem::new("server.address", message)]))
    }
}

/// Whether a text can be a name in a URL.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}
