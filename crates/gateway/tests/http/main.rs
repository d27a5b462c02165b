//! The gateway over real connections, in front of a scheduler that plays a part.

mod accounts;
mod auth;
mod benchmarks;
mod claims;
mod client;
mod cluster;
mod embeddings;
mod fake;
mod generations;
mod harness;
mod honesty;
mod life;
mod malformed;
mod operations;
mod soak;
mod stack;
mod streaming;
mod view;
mod wire;
