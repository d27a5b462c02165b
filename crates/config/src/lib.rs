//! Configuration: from a raw file to validated values.
//!
//! The types in this crate are the configuration: a section is a struct, a key is a field.
//! The field states the key's default, its range and, as its doc comment, its help; from
//! these come the checks of [`load`], the JSON Schema for editors, `config/hostler.toml`
//! and `docs/configuration.md`. The components take these types directly.
//!
//! [`load`] merges layers (a TOML file, the environment, the command line) over the
//! defaults and refuses unknown keys. What it returns is valid. This crate opens no other
//! file, and knows no engine, no actor and no HTTP.

mod cluster;
mod device;
mod error;
mod fields;
mod key_file;
mod keys;
mod layer;
mod load;
mod operations;
mod render;
mod responses;
mod router;
mod rules;
mod scheduler;
mod schema;
mod server;
mod stray;

pub use cluster::{ClusterConfig, ClusterTlsConfig, EtcdConfig, EtcdTlsConfig, WorkerConfig, WorkerTlsConfig};
pub use device::{CoreSet, Device, DeviceError};
pub use error::{ConfigError, Problem};
pub use key_file::{parse_keys, render_keys};
pub use keys::{ApiKey, Expiry, Role, Secret};
pub use layer::Layer;
pub use load::{Config, load};
pub use operations::{BenchmarksConfig, LogConfig, LogFormat, ModelsConfig, TracingConfig};
pub use render::{effective, json_schema, reference_file, reference_table};
pub use responses::StoredResponsesConfig;
pub use router::{RouterConfig, RoutingPolicy};
pub use scheduler::{
    BatchingConfig, ENGINES, Isolation, KvCacheType, LlamacppOptions, MistralrsOptions, NamedScheduler, QueueConfig,
    RecoveryConfig, SchedulerSpec, WeightFormat,
};
pub use server::{ServerConfig, ServerTlsConfig, UnknownFields};
