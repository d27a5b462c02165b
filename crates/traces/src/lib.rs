//! Exports the spans of requests to a collector, by OTLP over gRPC.
//!
//! [`hostler_telemetry::spans`] receives the spans. This crate converts them to
//! OpenTelemetry's types, batches them, and exports them on its own thread. Recording a
//! span adds it to a bounded queue and never blocks; while the collector is unreachable,
//! spans are dropped and requests are not affected.

mod convert;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hostler_telemetry::spans::{Span, SpanSink};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanProcessor};
use tokio::runtime::Runtime;

/// Maximum number of queued spans; more are dropped. At four spans per request and 10 %
/// sampling, the queue covers many seconds.
const QUEUE_SPANS_MAX: usize = 8192;

/// Interval of the exports: one message carries the spans of this time.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout of one export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of the last export at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The collector, the sample ratio, and the attributes of this process.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector: `http://HOST:PORT`, usually port 4317.
    pub endpoint: String,
    /// The sampled share of the traces that start in this process, from 0 to 1.
    pub sample_ratio: f64,
    /// The name of this process in the cluster.
    pub node: String,
    /// The version of the program.
    pub version: &'static str,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint cannot be used.
    #[error("cannot export traces to {endpoint:?}: {source}")]
    Exporter {
        /// The configured endpoint.
        endpoint: String,
        /// What is wrong with it.
        source: ExporterBuildError,
    },
    /// The exporter's thread cannot be started.
    #[error("cannot start the thread that exports traces: {0}")]
    Thread(#[from] std::io::Error),
    /// A sink is already installed.
    #[error("traces are already exported")]
    Twice,
}

/// Exports spans until it is shut down.
pub struct Traces {
    processor: Arc<BatchSpanProcessor>,
    /// Runs the connection. Dropped last.
    runtime: Runtime,
}

struct Sink {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

impl SpanSink for Sink {
    fn record(&self, span: Span) {
        self.processor.on_end(convert::span(span, self.scope.clone()));
    }
}

impl Traces {
    /// Starts the export. It connects when it sends the first spans.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn start(config: TracesConfig) -> Result<Self, TracesError> {
        let TracesConfig { endpoint, sample_ratio, node, version } = config;
        // A runtime of its own, so that exports take no time from the actors' threads.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("traces").enable_all().build()?;
        let entered = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|source| TracesError::Exporter { endpoint, source })?;
        drop(entered);
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder()
            .with_service_name("hostler")
            .with_attributes([KeyValue::new("service.version", version), KeyValue::new("service.instance.id", node)])
            .build();
        processor.set_resource(&resource);
        let processor = Arc::new(processor);
        let scope = InstrumentationScope::builder("hostler").with_version(version).build();
        let sink = Box::new(Sink { processor: Arc::clone(&processor), scope });
        if !hostler_telemetry::spans::install(sink, sample_ratio) {
            return Err(TracesError::Twice);
        }
        Ok(Self { processor, runtime })
    }

    /// Exports the queued spans, with a timeout, and stops. Blocks.
    pub fn shutdown(self) {
        if let Err(error) = self.processor.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "the last traces may not have been exported");
        }
        self.runtime.shutdown_background();
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}
