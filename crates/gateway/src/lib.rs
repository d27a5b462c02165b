//! The HTTP API: OpenAI's endpoints, Anthropic's and native ones, SSE, errors, limits, keys.
//!
//! [`Gateway::start`] serves a [`hostler_router::Router`] by HTTP/1.1, and with TLS also by
//! HTTP/2. Its layers, each of which imports only those after it:
//!
//! - `gateway`: the server with every API on it;
//! - `api`: endpoints and their routes, a folder for each API;
//! - `generation`: submits generations, collects or streams their tokens;
//! - `request`: reads a body into one strict type, validates it;
//! - `http`: server, errors, keys, event streams, the context and record of each request;
//! - `stored`: responses that later requests can continue;
//! - `cluster`: what the process around the gateway passes in.
//!
//! This crate knows nothing of engines, of the inside of schedulers or of where schedulers
//! run: the router's handle hides all of that. It has no queue of its own: tokens that a
//! client has not read yet stay in their sequence's channel, which `max_tokens` bounds.
//!
//! The wire types are our own. `openai-protocol` depends on axum, validator, schemars and
//! chrono, and accepts unknown fields silently; `async-openai` has none of vLLM's fields and
//! owns every string of every chunk. Strict structs that borrow are shorter than a layer that
//! would correct either.

mod api;
mod cluster;
mod gateway;
mod generation;
mod http;
mod request;
mod stored;

pub use api::admin::types as admin;
pub use api::probes::{Probes, Readiness};
pub use cluster::{ClusterView, Directory, DirectoryStatus};
pub use gateway::Gateway;
pub use hostler_config::{ApiKey, Role, Secret, ServerConfig};
