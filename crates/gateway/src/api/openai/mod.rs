//! OpenAI's endpoints, and vLLM's `/tokenize` and `/detokenize`.

pub(super) mod chat;
mod chat_format;
mod chat_logprobs;
pub(super) mod completions;
pub(super) mod embeddings;
mod envelope;
pub(super) mod models;
pub(super) mod requests;
pub(super) mod tokenize;
