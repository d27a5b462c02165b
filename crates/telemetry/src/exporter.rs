//! The Prometheus exporter.

use std::fmt;
use std::sync::Arc;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::catalogue::ALL;
use crate::departed::without_departed;
use crate::metric::{Kind, NODE};
use crate::process;
use crate::relay::{Relay, Relayed};

/// Renders the recorded metrics. Clones share their state.
#[derive(Clone)]
pub struct Exporter {
    recorded: PrometheusHandle,
    node: Arc<str>,
    relayed: Relayed,
}

/// Why the exporter could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the metrics exporter: {0}")]
pub struct ExporterError(#[from] metrics_exporter_prometheus::BuildError);

impl Exporter {
    /// Installs the process-wide recorder. Handles created before this call record
    /// nothing. `node` is the name of this process in the cluster, and a label of every
    /// series.
    ///
    /// # Errors
    /// If a recorder is already installed.
    pub fn install(node: &str) -> Result<Self, ExporterError> {
        let mut builder = PrometheusBuilder::new().add_global_label(NODE, node);
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
            }
        }
        let handle = builder.install_recorder()?;
        for metric in ALL {
            match metric.kind {
                Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
                Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
                Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
            }
        }
        Ok(Self { recorded: handle, node: node.into(), relayed: Relayed::default() })
    }

    /// The name of this process in the cluster.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = without_departed(self.recorded.render());
        if let Some(usage) = process::read() {
            usage.write(&mut text, &self.node);
        }
        self.relayed.merge(text)
    }

    /// A relay for the metrics of another process, which are rendered with these.
    #[must_use]
    pub fn relay(&self, name: &str) -> Relay {
        self.relayed.relay(name)
    }

    /// Adds recorded samples to their buckets, so that their memory is bounded even if
    /// no scrape happens. Call it every few seconds.
    pub fn upkeep(&self) {
        self.recorded.run_upkeep();
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("node", &self.node).finish_non_exhaustive()
    }
}
