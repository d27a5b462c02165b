//! What to load, and how to run it.

use std::path::PathBuf;

use hostler_protocol::ModelId;

use crate::Device;

/// A model, where it runs, and its budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MistralrsConfig {
    /// The name under which it is served.
    pub model: ModelId,
    /// Where its files are.
    pub source: ModelSource,
    /// Where it runs.
    pub device: Device,
    /// How weights from safetensors are held in memory. A GGUF file is run as it is.
    pub weight_format: WeightFormat,
    /// Most sequences at once, at least 1. A CPU runs one, whatever stands here.
    pub max_batch_size: u32,
    /// Most tokens of one sequence, prompt and answer together, at least 2. The
    /// model's own limit holds where it is lower.
    pub max_context_length: u32,
    /// Makes the engine fail on purpose, in the first executor that is loaded with
    /// it. For tests.
    #[doc(hidden)]
    pub fault: Option<Fault>,
}

/// Where a model's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// One GGUF file.
    Gguf(PathBuf),
    /// A folder as the Hugging Face hub lays it out: `config.json`,
    /// `tokenizer.json`, `*.safetensors`.
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

/// How weights from safetensors are held in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFormat {
    /// 32-bit floats on a CPU; on a GPU, bfloat16 where it can, else 16-bit floats.
    #[default]
    Native,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16. Not on a CPU.
    Bf16,
    /// 8 bits in blocks of 32, made from the others while loading.
    Q8_0,
}

/// A failure on purpose.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The engine's thread panics in the step after so many.
    PanicAfterSteps(u64),
}

impl MistralrsConfig {
    /// A model on the whole processor, with the budgets of the system that Hostler
    /// succeeds: 8 sequences of 2,048 tokens.
    #[must_use]
    pub fn new(model: ModelId, source: ModelSource) -> Self {
        Self {
            model,
            source,
            device: Device::Cpu(None),
            weight_format: WeightFormat::default(),
            max_batch_size: 8,
            max_context_length: 2048,
            fault: None,
        }
    }
}
