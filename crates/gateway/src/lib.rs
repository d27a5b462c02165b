//! The HTTP API: OpenAI's endpoints and native ones, SSE, errors, limits, keys.
//!
//! [`Gateway::start`] serves a [`hostler_router::Router`] by HTTP/1.1. A request is
//! read into one strict body type (`body`), becomes one or more generation
//! requests (`generation`), and its tokens are written out in the dialect of
//! its endpoint (`openai`, `native`).
//!
//! This crate knows nothing of engines, of schedulers' insides or of where
//! schedulers are: all of that is behind the router's handle. It keeps no queue
//! of its own: what a client has not read yet stays in its sequence's channel,
//! which is bounded by `max_tokens`.
//!
//! The wire types are our own. `openai-protocol` pulls in axum, validator,
//! schemars and chrono, and takes unknown fields in silence; `async-openai` knows
//! none of vLLM's fields and owns every string of every chunk. Strict structs
//! that borrow are shorter than a layer that would correct either.

mod account;
mod auth;
mod benchmarks;
mod body;
mod claims;
mod cluster;
mod config;
mod error;
mod exchange;
mod explain;
mod generation;
mod limits;
mod native;
mod observe;
mod openai;
mod operations;
mod probes;
mod routes;
mod server;
mod shared;
mod timing;
mod trace;

pub use cluster::{ClusterView, EtcdStatus, Membership};
pub use config::{ApiKey, GatewayConfig};
pub use probes::{Probes, Readiness};
pub use server::Gateway;
