//! `[log]`, `[tracing]`, `[models]` and `[benchmarks]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::fields::{DAY_SECONDS, ordered, seconds};
use crate::rules::is_plaintext_url;

/// The levels of log events, and none.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct LogConfig {
    /// Format of log lines: human-readable text, or one JSON object per line.
    pub format: LogFormat,
    /// Events that are logged.
    ///
    /// A filter in the syntax of `RUST_LOG`.
    #[schemars(extend("x-allowed" = "a level (error, warn, info, debug, trace), or target=level,…"))]
    pub filter: String,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human-readable text.
    #[default]
    Text,
    /// For log collectors: one JSON object per line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

/// `[tracing]`: which requests are traced, and where the spans are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct TracingConfig {
    /// The collector to which traces of requests are sent, by the OpenTelemetry protocol
    /// over gRPC; usually port 4317. Omitted: nothing is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "http://HOST:PORT"))]
    pub otlp_endpoint: Option<String>,
    /// Share of requests that are traced. A client that sends a traceparent header decides
    /// for its own requests.
    ///
    /// One request in ten is enough to see what is slow, and costs no measurable throughput.
    #[schemars(range(min = 0.0, max = 1.0), extend("x-allowed" = "a number from 0 to 1"))]
    pub sample_ratio: f64,
}

impl Default for TracingConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 0.1 }
    }
}

impl LogConfig {
    /// A misspelt level would be a filter for a target of that name, and silence everything.
    pub(crate) fn problems(&self) -> Option<Problem> {
        let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text.trim()));
        let wrong = self.filter.split(',').map(str::trim).find(|directive| match directive.rsplit_once('=') {
            Some((_, level)) => !is_level(level),
            None => !is_level(directive),
        })?;
        let message = format!(
            "{wrong:?} is not allowed; allowed is a level ({}), or target=level, several separated by commas",
            LEVELS.join(", ")
        );
        Some(Problem::new("log.filter", message))
    }
}

impl TracingConfig {
    pub(crate) fn problems(&self) -> Option<Problem> {
        let endpoint = self.otlp_endpoint.as_ref().filter(|endpoint| !is_plaintext_url(endpoint))?;
        let message = format!("{endpoint:?} is not allowed; allowed are http://HOST:PORT");
        Some(Problem::new("tracing.otlp_endpoint", message))
    }
}

/// `[models]`: where models are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ModelsConfig {
    /// Directory in which pulled models are stored. Default: hostler/models in the user's
    /// data directory ($XDG_DATA_HOME, else ~/.local/share).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a directory"))]
    pub store: Option<PathBuf>,
}

/// `[benchmarks]`: benchmarks that operators start on the running server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct BenchmarksConfig {
    /// Directory in which results of benchmarks are stored. Default: hostler/benchmarks in
    /// the user's data directory ($XDG_DATA_HOME, else ~/.local/share). One server at a time
    /// uses it; a second one keeps its results in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a directory"))]
    pub store: Option<PathBuf>,
    /// Maximum number of benchmarks that wait in the queue; one runs at a time.
    #[schemars(range(min = 0, max = 1_000))]
    pub queue_max: usize,
    /// Maximum number of stored results; when it is exceeded, the oldest are deleted. One
    /// takes about 50 kB.
    #[schemars(range(min = 1, max = 100_000))]
    pub kept_max: usize,
    /// Maximum time that a benchmark may take and hold a scheduler.
    #[serde(rename = "seconds_max", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = DAY_SECONDS))]
    pub time_max: Duration,
}

impl Default for BenchmarksConfig {
    fn default() -> Self {
        Self { store: None, queue_max: 8, kept_max: 100, time_max: Duration::from_secs(3600) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_consists_of_levels() {
        let problem = |filter: &str| LogConfig { filter: filter.to_owned(), ..LogConfig::default() }.problems();
        for filter in ["info", "WARN", "off", "info,hostler_router=debug", "hostler=trace, h2=off", "a[span]=info"] {
            assert_eq!(problem(filter), None, "{filter}");
        }
        for filter in ["inf", "", "info,", "hostler_router", "info,hostler=debugg", "hostler="] {
            assert!(problem(filter).is_some(), "{filter}");
        }
    }
}
