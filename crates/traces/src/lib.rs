//! Sends the spans of requests to a collector, by OpenTelemetry's protocol (OTLP, gRPC).
//!
//! What is recorded is for [`hostler_telemetry::spans`] and its callers to say. Here it
//! is turned into OpenTelemetry's form, gathered, and exported by a thread of its own:
//! whoever records a span puts it into a bounded queue and never waits. A collector that
//! is away costs spans, not requests.

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

/// Most spans that wait for the exporter; more are dropped. At four spans a request
/// and 10 % sampling this is the work of many seconds.
const QUEUE_SPANS_MAX: usize = 8192;

/// How long spans are gathered before they go out, so that one message carries many.
const GATHER: Duration = Duration::from_secs(1);

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last spans may take when the program ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where spans go, and who sends them.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector: `http://HOST:PORT`, usually port 4317.
    pub endpoint: String,
    /// The share of traces to sample, of those that begin here; from 0 to 1.
    pub sample_ratio: f64,
    /// The name of this process in the cluster.
    pub node: String,
    /// What runs: the version of the program.
    pub version: &'static str,
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint cannot be used.
    #[error("cannot export traces to {endpoint:?}: {source}")]
    Exporter {
        /// What was configured.
        endpoint: String,
        /// What is wrong with it.
        source: ExporterBuildError,
    },
    /// The exporter has no thread.
    #[error("cannot start the thread that exports traces: {0}")]
    Thread(#[from] std::io::Error),
    /// Spans are taken already.
    #[error("traces are exported already")]
    Twice,
}

/// Exports until it is shut down.
pub struct Traces {
    processor: Arc<BatchSpanProcessor>,
    /// Carries the connection. Dropped last.
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
    /// Begins to take spans. The connection is made when the first are sent.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn start(config: TracesConfig) -> Result<Self, TracesError> {
        let TracesConfig { endpoint, sample_ratio, node, version } = config;
        // The actors' threads have no time for it.
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
        let batches =
            BatchConfigBuilder::default().with_max_queue_size(QUEUE_SPANS_MAX).with_scheduled_delay(GATHER).build();
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

    /// Sends what is left, within a bound, and stops. It blocks.
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
