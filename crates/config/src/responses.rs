//! `[server.responses]`: what is kept of the answers of `POST /v1/responses`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::{DAY_SECONDS, ordered, seconds};

/// `[server.responses]`: responses that are stored, with their input, so that later requests can
/// continue them. Only this gateway knows them, and only clients of the same tenant see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct StoredResponsesConfig {
    /// Whether responses are stored. If false, every request is treated as if it had
    /// `store: false`.
    pub enabled: bool,
    /// Directory in which they are stored, readable by the server's user only. Default:
    /// hostler/responses in the user's data directory ($XDG_DATA_HOME, else ~/.local/share).
    /// One server at a time uses it; a second one keeps its responses in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a directory"))]
    pub store: Option<PathBuf>,
    /// Maximum number of stored responses; when it is exceeded, the oldest are deleted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub kept_max: usize,
    /// Maximum size of all stored responses together, in bytes of JSON; when it is exceeded,
    /// the oldest are deleted. They are in memory as well.
    #[schemars(range(min = 1024, max = 1_u64 << 40))]
    pub bytes_max: usize,
    /// Time after which a response is deleted.
    #[serde(rename = "age_max_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 365 * DAY_SECONDS))]
    pub age_max: Duration,
}

impl Default for StoredResponsesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            store: None,
            kept_max: 10_000,
            bytes_max: 64 * 1024 * 1024,
            age_max: Duration::from_secs(7 * DAY_SECONDS),
        }
    }
}
