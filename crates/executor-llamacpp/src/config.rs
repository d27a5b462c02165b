//! What to load, and how to run it.

use std::path::PathBuf;

use hostler_protocol::ModelId;

use crate::Device;

/// Most prompt tokens in one step, where the configuration says nothing.
///
/// One token of the chunk goes with those that decode; the others have a pass of
/// their own, and from 64 on llama.cpp's attention is the faster kind. Measured with
/// seven running sequences beside a prompt of 1,500 tokens, demo model in Q8_0, 2 cores:
///
/// | chunk | median gap ms | longest gap ms | prompt read in s |
/// |---|---|---|---|
/// | 16 | 62 | 143 | 6.2 |
/// | 32 | 97 | 182 | 4.7 |
/// | 64 | 175 | 358 | 4.3 |
/// | 65 | 127 | 259 | 3.4 |
/// | 128 | 230 | 313 | 2.6 |
/// | 256 | 433 | 519 | 2.5 |
///
/// (Without the prompt the median gap is 22 ms.)
pub const PREFILL_CHUNK_TOKENS_DEFAULT: u32 = 65;

/// What must stand in the environment of a process that runs this engine before it
/// starts: OpenMP reads it while the program is loaded, so the program itself is too
/// late. Whoever starts a worker process sets it, unless it is set already.
///
/// llama.cpp's threads meet some 600 times a token. By OpenMP's default a thread that
/// is first waits actively for milliseconds; on cores that anybody else uses too (our
/// own HTTP threads are enough) it so keeps the thread that it waits for from running.
/// A thousand turns are a few microseconds: long enough on an idle machine, and short
/// enough on a busy one. Measured with 8 sequences and 2 threads on 2 cores: 230
/// tokens/s instead of 192 when they are idle, 73 instead of 11 beside six busy processes.
pub const PROCESS_ENVIRONMENT: [(&str, &str); 1] = [("GOMP_SPINCOUNT", "1000")];

/// A model, where it runs, and its budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamacppConfig {
    /// The name under which it is served.
    pub model: ModelId,
    /// The GGUF file.
    pub path: PathBuf,
    /// Where it runs.
    pub device: Device,
    /// Most sequences at once, 1 to 256 (llama.cpp's own limit).
    pub max_batch_size: u32,
    /// Most tokens of one sequence, prompt and answer together. The KV cache has
    /// room for `max_batch_size` sequences of this length.
    pub max_context_length: u32,
    /// Most prompt tokens in one step, at least 1: what bounds the gap between two
    /// tokens of the sequences that run while a prompt is read.
    pub prefill_chunk_tokens: u32,
    /// Threads that compute; `None`: one for each core of the device.
    pub threads: Option<u32>,
}

impl LlamacppConfig {
    /// A model on the whole processor, with the budgets of the system that Hostler
    /// succeeds: 8 sequences of 2,048 tokens.
    #[must_use]
    pub fn new(model: ModelId, path: impl Into<PathBuf>) -> Self {
        Self {
            model,
            path: path.into(),
            device: Device::Cpu(None),
            max_batch_size: 8,
            max_context_length: 2048,
            prefill_chunk_tokens: PREFILL_CHUNK_TOKENS_DEFAULT,
            threads: None,
        }
    }
}
