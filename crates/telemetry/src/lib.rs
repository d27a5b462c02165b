//! Telemetry: the catalogue of metrics, the Prometheus exporter, logs, and the spans of
//! traced requests ([`spans`]).
//!
//! [`catalogue`] declares every metric that Hostler exports, with its kind, labels and
//! buckets. Components get handles from there and never use the name of a metric. This
//! crate does not depend on requests or schedulers.

pub mod catalogue;
mod departed;
mod exporter;
mod log;
mod metric;
mod process;
mod reference;
mod relay;
pub mod spans;

pub use departed::{scheduler_joined, scheduler_left};
pub use exporter::{Exporter, ExporterError};
pub use log::init_logs;
pub use metric::{Kind, Labels, Metric, NODE, buckets};
pub use metrics::{Counter, Gauge, Histogram};
pub use reference::reference_tables;
pub use relay::Relay;
