//! `[scheduler]` and `[schedulers.NAME]`. [`crate::KEYS`] says what each key means
//! and allows.

use hostler_protocol::Engine;
use serde::{Deserialize, Serialize};

use crate::Device;

/// A scheduler's settings: `[scheduler]` holds what all have in common,
/// `[schedulers.NAME]` what one has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerSettings {
    /// The model: a name from the catalogue, a hub id, or a path.
    pub model: String,
    /// The name under which clients ask for it; `None`: the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_name: Option<String>,
    /// The engine that runs it.
    pub engine: Engine,
    /// Where it runs.
    pub device: Device,
    /// Most sequences in flight.
    pub max_batch_size: u32,
    /// Most tokens of a sequence, prompt and output together.
    pub max_context_length: u32,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            model: "smollm2-135m-instruct".to_owned(),
            served_name: None,
            engine: Engine::Mistralrs,
            device: Device::Auto,
            max_batch_size: 8,
            max_context_length: 2048,
        }
    }
}

/// A scheduler to start.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedScheduler {
    /// Its name, unique in this process.
    pub name: String,
    /// How it is set up.
    pub settings: SchedulerSettings,
}
