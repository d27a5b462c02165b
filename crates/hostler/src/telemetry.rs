//! Logs, metrics and traces of a serving process. Every command that serves starts them first.

use std::time::Duration;

use hostler_config::{Config, LogConfig};
use hostler_telemetry::{Exporter, catalogue};
use hostler_traces::{Traces, TracesConfig};

use crate::failure::Usage;

/// How often recorded samples are aggregated, so that memory use is bounded when no one
/// scrapes the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The commit that this program was built from, if the build knew it.
pub(crate) const COMMIT: Option<&str> = option_env!("HOSTLER_COMMIT");

/// Filters for libraries that log too much, or warn of what is intended here. A directive
/// of the user for the same target comes later and takes precedence.
const QUIET: &str =
    "mistralrs_core=error,mistralrs_quant=error,llama_cpp_2=error,llama-cpp-2=error,tokenizers=error,actix_server=warn";

/// Starts logging as configured.
pub(crate) fn init_logs(config: &LogConfig) -> anyhow::Result<()> {
    let filter = format!("{QUIET},{}", config.filter);
    hostler_telemetry::init_logs(config.format, &filter).map_err(|message| anyhow::anyhow!(Usage(message)))
}

/// The metrics and traces of this process. Metric handles that are created before it starts
/// record nothing.
pub(crate) struct Telemetry {
    pub(crate) exporter: Exporter,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Starts both; `node` is this process's name in the cluster.
    pub(crate) fn start(config: &Config, node: &str) -> anyhow::Result<Self> {
        let exporter = Exporter::install(node)?;
        catalogue::BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION"), COMMIT.unwrap_or("unknown")]).set(1.0);
        let traces = config.tracing.otlp_endpoint.as_ref().map(|endpoint| {
            Traces::start(TracesConfig {
                endpoint: endpoint.clone(),
                sample_ratio: config.tracing.sample_ratio,
                node: node.to_owned(),
                version: env!("CARGO_PKG_VERSION"),
            })
        });
        Ok(Self { exporter, traces: traces.transpose()? })
    }

    /// Exports the remaining spans. Must be called last.
    pub(crate) fn shutdown(self) {
        if let Some(traces) = self.traces {
            traces.shutdown();
        }
    }
}

/// Aggregates samples while it is polled.
pub(crate) async fn upkeep(exporter: Exporter) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        interval.tick().await;
        exporter.upkeep();
    }
}

/// The host name: the default name of a process.
pub(crate) fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
