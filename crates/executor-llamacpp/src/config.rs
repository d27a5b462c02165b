//! The configuration of the engine.

use std::path::PathBuf;

use hostler_config::LlamacppOptions;
use hostler_protocol::{ModelId, ToolFormat};

use crate::Device;

/// Environment variables for a process that runs this engine. They must be set before it
/// starts, because OpenMP reads them while the program is loaded. The parent of a worker
/// process sets them unless they are already set.
///
/// llama.cpp's threads synchronise about 600 times per token. By default, OpenMP threads
/// spin for milliseconds at a barrier; on cores that other threads use too (Hostler's own
/// HTTP threads suffice), this keeps the thread that they wait for from running. 1,000
/// iterations take a few microseconds, which suits idle and busy machines. Measured with
/// 8 sequences and 2 threads on 2 cores: 230 tokens/s instead of 192 on idle cores, 73
/// instead of 11 with six other busy processes.
pub const PROCESS_ENVIRONMENT: [(&str, &str); 1] = [("GOMP_SPINCOUNT", "1000")];

/// A model, its device, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamacppConfig {
    /// The name under which the model is served.
    pub model: ModelId,
    /// The GGUF file.
    pub path: PathBuf,
    /// The device.
    pub device: Device,
    /// Maximum concurrent sequences, 1 to 256 (llama.cpp's own limit).
    pub max_batch_size: u32,
    /// Maximum tokens of one sequence, prompt and answer together. The KV cache has
    /// capacity for `max_batch_size` sequences of this length.
    pub max_context_length: u32,
    /// Maximum prompt tokens in one step, at least 1. It bounds the time between two
    /// tokens of the decoding sequences during a prefill.
    pub prefill_chunk_tokens: u32,
    /// Number of compute threads; `None`: one for each core of the device.
    pub threads: Option<u32>,
    /// The format of tool calls; `None`: detected from the chat template.
    pub tool_format: Option<ToolFormat>,
}

impl LlamacppConfig {
    /// A model on all CPU cores, with 8 sequences of 2,048 tokens.
    #[must_use]
    pub fn new(model: ModelId, path: impl Into<PathBuf>) -> Self {
        Self {
            model,
            path: path.into(),
            device: Device::Cpu(None),
            max_batch_size: 8,
            max_context_length: 2048,
            prefill_chunk_tokens: LlamacppOptions::default().prefill_chunk_tokens,
            threads: None,
            tool_format: None,
        }
    }
}
