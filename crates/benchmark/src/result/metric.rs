//! The quantities that results report and compare, in one table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::measure::{Percentiles, RunSummary};

/// A quantity that every run has, or may have.
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
    /// How long something took, in seconds.
    Time(Latency, Percentile),
    /// CPU time of the server for 1,000 output tokens, in seconds.
    ServerCpuSecondsPer1000Tokens,
    /// CPU time of the client for 1,000 output tokens, in seconds.
    ClientCpuSecondsPer1000Tokens,
    /// Memory of the server at the end of the run, in bytes.
    ServerResidentBytes,
}

/// A time that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latency {
    /// Sending to first token.
    Ttft,
    /// Gaps between tokens.
    Itl,
    /// Time per further token.
    Tpot,
    /// Sending to end.
    E2e,
}

/// A place in its distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Percentile {
    /// The median.
    P50,
    /// 90 %.
    P90,
    /// 95 %.
    P95,
    /// 99 %.
    P99,
    /// The greatest.
    Max,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

/// A name that no metric has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric {0:?}")]
pub struct MetricError(String);

impl Latency {
    const ALL: [Self; 4] = [Self::Ttft, Self::Itl, Self::Tpot, Self::E2e];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Itl => "itl",
            Self::Tpot => "tpot",
            Self::E2e => "e2e",
        }
    }
}

impl Percentile {
    const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::Max];

    const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }

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
    /// Every metric, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        let rates =
            [Self::OutputTokensPerSecond, Self::TotalTokensPerSecond, Self::RequestsPerSecond, Self::GoodputPerSecond];
        let times = Latency::ALL
            .into_iter()
            .flat_map(|latency| Percentile::ALL.map(|percentile| Self::Time(latency, percentile)));
        let costs =
            [Self::ServerCpuSecondsPer1000Tokens, Self::ClientCpuSecondsPer1000Tokens, Self::ServerResidentBytes];
        rates.into_iter().chain(times).chain(costs)
    }

    /// Its value in `run`.
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
        }
    }

    /// Which way is better.
    #[must_use]
    pub const fn better(self) -> Better {
        match self {
            Self::OutputTokensPerSecond
            | Self::TotalTokensPerSecond
            | Self::RequestsPerSecond
            | Self::GoodputPerSecond => Better::Higher,
            Self::Time(..)
            | Self::ServerCpuSecondsPer1000Tokens
            | Self::ClientCpuSecondsPer1000Tokens
            | Self::ServerResidentBytes => Better::Lower,
        }
    }

    /// Whether a change for the worse is a regression. The far tail is shown, but
    /// decides nothing: it rests on a handful of values. The client's own cost is
    /// not the server's fault.
    #[must_use]
    pub const fn decides(self) -> bool {
        !matches!(self, Self::Time(_, Percentile::P99 | Percentile::Max) | Self::ClientCpuSecondsPer1000Tokens)
    }

    /// How people read its values: what they are multiplied by, and the unit then.
    #[must_use]
    pub const fn display_unit(self) -> (f64, &'static str) {
        match self {
            Self::OutputTokensPerSecond | Self::TotalTokensPerSecond => (1.0, "tokens/s"),
            Self::RequestsPerSecond | Self::GoodputPerSecond => (1.0, "requests/s"),
            Self::Time(..) => (1e3, "ms"),
            Self::ServerCpuSecondsPer1000Tokens | Self::ClientCpuSecondsPer1000Tokens => (1.0, "s"),
            Self::ServerResidentBytes => (1e-6, "MB"),
        }
    }
}

/// Its name in results: `output_tokens_per_second`, `ttft_p50_seconds`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputTokensPerSecond => f.write_str("output_tokens_per_second"),
            Self::TotalTokensPerSecond => f.write_str("total_tokens_per_second"),
            Self::RequestsPerSecond => f.write_str("requests_per_second"),
            Self::GoodputPerSecond => f.write_str("goodput_per_second"),
            Self::Time(latency, percentile) => write!(f, "{}_{}_seconds", latency.as_str(), percentile.as_str()),
            Self::ServerCpuSecondsPer1000Tokens => f.write_str("server_cpu_seconds_per_1000_tokens"),
            Self::ClientCpuSecondsPer1000Tokens => f.write_str("client_cpu_seconds_per_1000_tokens"),
            Self::ServerResidentBytes => f.write_str("server_resident_bytes"),
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
    fn every_name_is_its_own_and_reads_back() {
        let all: Vec<Metric> = Metric::all().collect();
        for metric in &all {
            assert_eq!(metric.to_string().parse(), Ok(*metric));
        }
        assert!("ttft".parse::<Metric>().is_err());
    }
}
