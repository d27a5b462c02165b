//! Telemetry: the one registry of metrics, their Prometheus exporter, logs, and what
//! is recorded of traced requests ([`spans`]).
//!
//! Every metric that Hostler exports is declared in [`catalogue`], with its kind,
//! unit, labels and buckets; a component takes handles from there and never
//! writes a metric's name. This crate knows nothing of requests or schedulers.

pub mod buckets;
pub mod catalogue;
mod exporter;
mod log;
mod metric;
mod process;
mod reference;
mod relay;
pub mod spans;

pub use exporter::{Exporter, ExporterError};
pub use log::{LogFormat, init_logs};
pub use metric::{Kind, Labels, Metric, NODE};
pub use metrics::{Counter, Gauge, Histogram};
pub use reference::reference_tables;
pub use relay::Relay;
