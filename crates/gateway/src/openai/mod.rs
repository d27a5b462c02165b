//! OpenAI's endpoints, and vLLM's `/tokenize` and `/detokenize` beside them.

mod base64;
mod chat;
mod chat_format;
mod completions;
mod completions_format;
mod embeddings;
mod envelope;
mod models;
mod requests;
mod tokenize;

pub(crate) use chat::create as chat;
pub(crate) use completions::create as completions;
pub(crate) use embeddings::create as embeddings;
pub(crate) use models::{get as model, list as models};
pub(crate) use requests::cancel;
pub(crate) use tokenize::{detokenize, tokenize};
