//! What every process that serves starts first: its metrics, and traces if they are wanted.

use std::time::Duration;

use hostler_config::Config;
use hostler_telemetry::{Exporter, catalogue};
use hostler_traces::{Traces, TracesConfig};

/// How often recorded samples are folded, so that they take no memory while nobody
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics and traces of this process. Handles that are taken before it starts
/// record nothing.
pub(crate) struct Telemetry {
    pub(crate) exporter: Exporter,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Starts them; `node` is this process's name in the cluster.
    pub(crate) fn start(config: &Config, node: &str) -> anyhow::Result<Self> {
        let exporter = Exporter::install(node)?;
        catalogue::BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION"), crate::COMMIT.unwrap_or("unknown")]).set(1.0);
        let traces = config.tracing.otlp_endpoint.as_ref().map(|endpoint| {
            Traces::start(TracesConfig {
                endpoint: endpoint.as_str().to_owned(),
                sample_ratio: config.tracing.sample_ratio.get(),
                node: node.to_owned(),
                version: env!("CARGO_PKG_VERSION"),
            })
        });
        Ok(Self { exporter, traces: traces.transpose()? })
    }

    /// Sends the traces that are left. Call it last.
    pub(crate) fn shutdown(self) {
        if let Some(traces) = self.traces {
            traces.shutdown();
        }
    }
}

/// Folds samples as long as it is polled.
pub(crate) async fn upkeep(exporter: Exporter) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        interval.tick().await;
        exporter.upkeep();
    }
}

/// The machine's name: what a process is called that nobody has named.
pub(crate) fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
