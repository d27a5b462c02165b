//! The gateway over real connections, with a scripted scheduler behind it.

mod auth;
mod benchmarks;
mod claims;
mod client;
mod cluster;
mod cluster_view;
mod cors;
mod embeddings;
mod fake;
mod fake_view;
mod generations;
mod harness;
mod keys;
mod life;
mod malformed;
mod messages;
mod operations;
mod records;
mod routes;
mod soak;
mod stack;
mod streaming;
mod support;
mod tls;
mod trust;
mod wire;
