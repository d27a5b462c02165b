//! What an engine says about the model that it holds, and how it may be driven.

use serde::{Deserialize, Serialize};

use crate::ModelId;

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// mistral.rs: made for GPUs, the default.
    Mistralrs,
    /// llama.cpp: the fast one on CPUs.
    Llamacpp,
    /// No model at all: a cost model that produces made-up text.
    Simulated,
}

impl Engine {
    /// As the configuration spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mistralrs => "mistralrs",
            Self::Llamacpp => "llamacpp",
            Self::Simulated => "simulated",
        }
    }
}

/// A loaded model: what it is and what it can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The name under which it is served.
    pub model: ModelId,
    /// The engine that runs it.
    pub engine: Engine,
    /// Where it runs: `cpu`, `cpu:0-3`, `cuda:0`, `metal`.
    pub device: String,
    /// How its weights are stored: `Q8_0`, `F16`, `BF16`.
    pub weight_format: String,
    /// Size of the file or files that it was loaded from, in bytes.
    pub weight_bytes: u64,
    /// Most tokens of one sequence, prompt and output together.
    pub context_length: u32,
    /// Most tokens of all running sequences together.
    pub kv_capacity_tokens: u64,
    /// Size of the vocabulary: every token id is below it.
    pub vocabulary_size: u32,
    /// How the engine may be driven.
    pub driving: Driving,
    /// What a request may ask of it.
    pub capabilities: Capabilities,
}

/// How an engine may be driven; the scheduler batches accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driving {
    /// Most sequences in flight at once.
    pub max_sequences: u32,
    /// Which sequences share a step.
    pub batching: Batching,
    /// How prompts are read.
    pub prefill: Prefill,
}

/// Which sequences an engine runs in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Sequences of any length together.
    Ragged,
    /// Only sequences of equal length together; the others wait for their turn.
    EqualLength,
}

/// How an engine reads a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// In pieces of at most so many tokens, between which others decode.
    Chunked {
        /// Most prompt tokens in one step.
        tokens: u32,
    },
    /// All at once; nobody else decodes meanwhile.
    Blocking,
}

/// What a request may ask of an engine. Where a flag is false, such a request is
/// refused, never served without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Answers in a given form (see [`crate::Constraint`]).
    pub constraints: bool,
    /// Log probabilities, with at most so many alternatives a position; `None`: not at all.
    pub top_logprobs_max: Option<u32>,
    /// Whether the model carries a chat template.
    pub chat: bool,
    /// How many numbers the vector has that stands for a text; `None`: it makes none.
    #[serde(default)]
    pub embedding_dimensions: Option<u32>,
}
