//! The metrics that results report and compare.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

use crate::measure::{Percentiles, RunSummary};

/// A metric of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// Output tokens per second.
    OutputTokensPerSecond,
    /// Prompt and output tokens per second.
    TotalTokensPerSecond,
    /// Complete answers per second.
    RequestsPerSecond,
    /// Answers per second that met every objective.
    GoodputPerSecond,
    /// A latency, in seconds.
    Time(Latency, Percentile),
    /// CPU time of the server per 1,000 output tokens, in seconds.
    ServerCpuSecondsPer1000Tokens,
    /// CPU time of the client per 1,000 output tokens, in seconds.
    ClientCpuSecondsPer1000Tokens,
    /// Resident memory of the server at the end of the run, in bytes.
    ServerResidentBytes,
    /// Output tokens per joule of the server's GPUs.
    OutputTokensPerJoule,
}

/// A measured latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Latency {
    /// Time to first token.
    Ttft,
    /// Inter-token latency.
    Itl,
    /// Time per output token.
    Tpot,
    /// End-to-end latency.
    E2e,
}

/// A percentile of a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Percentile {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The maximum.
    Max,
}

/// The direction in which a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
}

/// Unknown metric name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric {0:?}")]
pub struct MetricError(String);

impl Percentile {
    const fn of(self, percentiles: &Percentiles) -> f64 {
        match self {
            Self::P50 => percentiles.p50,
            Self::P90 => percentiles.p90,
            Self::P95 => percentiles.p95,
            Self::P99 => percentiles.p99,
            Self::Max => percentiles.max,
        }
    }
}

impl Metric {
    /// All metrics, in report order.
    pub fn all() -> impl Iterator<Item = Self> {
        let rates =
            [Self::OutputTokensPerSecond, Self::TotalTokensPerSecond, Self::RequestsPerSecond, Self::GoodputPerSecond];
        let times = Latency::iter()
            .flat_map(|latency| Percentile::iter().map(move |percentile| Self::Time(latency, percentile)));
        let costs = [
            Self::ServerCpuSecondsPer1000Tokens,
            Self::ClientCpuSecondsPer1000Tokens,
            Self::ServerResidentBytes,
            Self::OutputTokensPerJoule,
        ];
        rates.into_iter().chain(times).chain(costs)
    }

    /// The value in `run`, if it has one.
    #[must_use]
    pub fn value(self, run: &RunSummary) -> Option<f64> {
        match self {
            Self::OutputTokensPerSecond => Some(run.output_tokens_per_second),
            Self::TotalTokensPerSecond => run.total_tokens_per_second,
            Self::RequestsPerSecond => Some(run.requests_per_second),
            Self::GoodputPerSecond => run.goodput_per_second,
            Self::Time(latency, percentile) => {
                let percentiles = match latency {
                    Latency::Ttft => run.latencies.ttft,
                    Latency::Itl => run.latencies.itl,
                    Latency::Tpot => run.latencies.tpot,
                    Latency::E2e => run.latencies.e2e,
                };
                percentiles.map(|percentiles| percentile.of(&percentiles))
            }
            Self::ServerCpuSecondsPer1000Tokens => run.server_cpu_seconds_per_1000_tokens,
            Self::ClientCpuSecondsPer1000Tokens => run.client_cpu_seconds_per_1000_tokens,
            Self::ServerResidentBytes => run.server_resident_bytes.map(|bytes| bytes as f64),
            Self::OutputTokensPerJoule => run.output_tokens_per_joule,
        }
    }

    /// The direction in which it improves.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::OutputTokensPerSecond
            | Self::TotalTokensPerSecond
            | Self::RequestsPerSecond
            | Self::GoodputPerSecond
            | Self::OutputTokensPerJoule => Better::Higher,
            Self::Time(..)
            | Self::ServerCpuSecondsPer1000Tokens
            | Self::ClientCpuSecondsPer1000Tokens
            | Self::ServerResidentBytes => Better::Lower,
        }
    }

    /// Whether a worse value is a regression. The far tail is shown but does not decide,
    /// because it rests on a handful of values. Neither does the client's own CPU time, nor
    /// memory, of which all rounds read the same process: they are one value, not several.
    #[must_use]
    pub const fn decides(self) -> bool {
        !matches!(
            self,
            Self::Time(_, Percentile::P99 | Percentile::Max)
                | Self::ClientCpuSecondsPer1000Tokens
                | Self::ServerResidentBytes
        )
    }

    /// The factor and unit for display.
    #[must_use]
    pub const fn display_unit(self) -> (f64, &'static str) {
        match self {
            Self::OutputTokensPerSecond | Self::TotalTokensPerSecond => (1.0, "tokens/s"),
            Self::RequestsPerSecond | Self::GoodputPerSecond => (1.0, "requests/s"),
            Self::Time(..) => (1e3, "ms"),
            Self::ServerCpuSecondsPer1000Tokens | Self::ClientCpuSecondsPer1000Tokens => (1.0, "s"),
            Self::ServerResidentBytes => (1e-6, "MB"),
            Self::OutputTokensPerJoule => (1.0, "tokens/J"),
        }
    }
}

/// The name in results: `output_tokens_per_second`, `ttft_p50_seconds`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputTokensPerSecond => f.write_str("output_tokens_per_second"),
            Self::TotalTokensPerSecond => f.write_str("total_tokens_per_second"),
            Self::RequestsPerSecond => f.write_str("requests_per_second"),
            Self::GoodputPerSecond => f.write_str("goodput_per_second"),
            Self::Time(latency, percentile) => write!(f, "{latency}_{percentile}_seconds"),
            Self::ServerCpuSecondsPer1000Tokens => f.write_str("server_cpu_seconds_per_1000_tokens"),
            Self::ClientCpuSecondsPer1000Tokens => f.write_str("client_cpu_seconds_per_1000_tokens"),
            Self::ServerResidentBytes => f.write_str("server_resident_bytes"),
            Self::OutputTokensPerJoule => f.write_str("output_tokens_per_joule"),
        }
    }
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(name: &str) -> Result<Self, MetricError> {
        Self::all().find(|metric| metric.to_string() == name).ok_or_else(|| MetricError(name.to_owned()))
    }
}

impl TryFrom<String> for Metric {
    type Error = MetricError;

    fn try_from(name: String) -> Result<Self, MetricError> {
        name.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique_and_parses_back() {
        let all: Vec<Metric> = Metric::all().collect();
        for metric in &all {
            assert_eq!(metric.to_string().parse(), Ok(*metric));
        }
        assert!("ttft".parse::<Metric>().is_err());
    }
}
