//! Descriptions of a loaded model and of what its engine supports.

use serde::{Deserialize, Serialize};

use crate::{Dialect, ModelId};

/// An inference engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// mistral.rs: for GPUs; the default.
    Mistralrs,
    /// llama.cpp: the fastest on CPUs.
    Llamacpp,
    /// No real model: generated filler text, timed by a cost model.
    Simulated,
}

impl Engine {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mistralrs => "mistralrs",
            Self::Llamacpp => "llamacpp",
            Self::Simulated => "simulated",
        }
    }
}

/// A loaded model and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The name under which it is served.
    pub model: ModelId,
    /// The engine that runs it.
    pub engine: Engine,
    /// The device: `cpu`, `cpu:0-3`, `cuda:0`, `metal`.
    pub device: String,
    /// The format of its weights: `Q8_0`, `F16`, `BF16`.
    pub weight_format: String,
    /// Total size of its weight files, in bytes.
    pub weight_bytes: u64,
    /// Maximum tokens of one sequence, prompt and output together.
    pub context_length: u32,
    /// Maximum tokens of all running sequences together.
    pub kv_capacity_tokens: u64,
    /// Size of the vocabulary; every token id is below it.
    pub vocabulary_size: u32,
    /// How the engine batches and prefills.
    pub driving: Driving,
    /// Optional request features that it supports.
    pub capabilities: Capabilities,
    /// How it writes tool calls and reasoning.
    #[serde(default)]
    pub dialect: Dialect,
}

/// How an engine batches and prefills; the scheduler fills its batch accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driving {
    /// Maximum sequences in flight.
    pub max_sequences: u32,
    /// Which sequences can share a step.
    pub batching: Batching,
    /// How prompts are processed.
    pub prefill: Prefill,
}

/// Which sequences an engine can run in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Sequences of any length.
    Ragged,
    /// Only sequences of equal length; sequences of other lengths wait.
    EqualLength,
}

/// How an engine processes a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// In chunks, between which other sequences decode.
    Chunked {
        /// Maximum prompt tokens in one step.
        tokens: u32,
    },
    /// All at once; no other sequence decodes during that time.
    Blocking,
}

/// Optional request features that an engine supports. A request that uses an
/// unsupported one is refused, never served without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Constrained output (see [`crate::Constraint`]).
    pub constraints: bool,
    /// Maximum alternatives per position in log probabilities; `None`: log
    /// probabilities are not supported.
    pub top_logprobs_max: Option<u32>,
    /// Whether the model has a chat template.
    pub chat: bool,
    /// Length of an embedding vector; `None`: embeddings are not supported.
    #[serde(default)]
    pub embedding_dimensions: Option<u32>,
}
