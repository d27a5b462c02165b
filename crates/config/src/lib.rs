//! Configuration: from raw file to validated settings.
//!
//! Layers are merged (defaults, then a TOML file, then the environment, then the
//! command line), unknown keys are refused, and every value is held against
//! [`KEYS`], the one table from which `config/hostler.toml` and
//! `docs/configuration.md` are written too. What [`load`] returns is valid.
//!
//! This crate starts nothing and opens nothing but the file it is given. It knows
//! no engine, no actor and no HTTP: the binary translates.

mod check;
mod cluster;
mod device;
mod error;
mod explain;
mod key;
mod keys;
mod layer;
mod load;
mod render;
mod scheduler;
mod secret;
mod sections;
mod tracing;

pub use cluster::{
    ClusterSettings, ClusterTlsSettings, EtcdSettings, EtcdTlsSettings, WorkerSettings, WorkerTlsSettings,
};
pub use device::{CoreSet, Device, DeviceError};
pub use error::{ConfigError, Problem};
pub use key::{Allowed, Key};
pub use keys::KEYS;
pub use layer::Layer;
pub use load::{Config, load};
pub use render::{effective, reference_file, reference_table};
pub use scheduler::{
    BatchingSettings, Isolation, LlamacppSettings, MistralrsSettings, NamedScheduler, QueueSettings, RecoverySettings,
    SchedulerSettings, WeightFormat,
};
pub use secret::Secret;
pub use sections::{
    ApiKeySettings, BenchmarkSettings, LogFormat, LogSettings, ModelSettings, RouterSettings, RoutingPolicy,
    ServerSettings, TracingSettings,
};
pub use tracing::{OtlpEndpoint, SampleRatio};
