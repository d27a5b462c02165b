//! The configuration of the engine.

use std::path::PathBuf;

use hostler_config::MistralrsOptions;
use hostler_protocol::{ModelId, ToolFormat};

use crate::Device;

/// A model, its device, and its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct MistralrsConfig {
    /// The name under which the model is served.
    pub model: ModelId,
    /// The model's files.
    pub source: ModelSource,
    /// The device.
    pub device: Device,
    /// The weights' format, and the KV cache on a GPU.
    pub options: MistralrsOptions,
    /// Maximum concurrent sequences, at least 1. A CPU always runs one.
    pub max_batch_size: u32,
    /// Maximum tokens of one sequence, prompt and answer together, at least 2. The model's
    /// own limit applies if it is lower.
    pub max_context_length: u32,
    /// The format of tool calls; `None`: detected from the chat template.
    pub tool_format: Option<ToolFormat>,
    /// Simulates a fault in the first executor that is loaded. For tests.
    #[doc(hidden)]
    pub fault: Option<Fault>,
}

/// The location of a model's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// One GGUF file.
    Gguf(PathBuf),
    /// A folder with the files of the Hugging Face hub: `config.json`, `tokenizer.json`,
    /// `*.safetensors`.
    Folder(PathBuf),
    /// A repository on the Hugging Face hub, fetched into its local cache.
    Hub {
        /// `organisation/name`.
        id: String,
        /// A branch, tag or commit; `None`: `main`.
        revision: Option<String>,
        /// A GGUF file in it; `None`: its safetensors.
        gguf: Option<String>,
    },
}

/// A simulated fault.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The engine's thread panics in the step after this many.
    PanicAfterSteps(u64),
}

impl MistralrsConfig {
    /// A model on all CPU cores, with 8 sequences of 2,048 tokens.
    #[must_use]
    pub fn new(model: ModelId, source: ModelSource) -> Self {
        Self {
            model,
            source,
            device: Device::Cpu(None),
            options: MistralrsOptions::default(),
            max_batch_size: 8,
            max_context_length: 2048,
            tool_format: None,
            fault: None,
        }
    }
}
