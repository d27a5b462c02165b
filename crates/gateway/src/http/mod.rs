//! HTTP without the API: server, shutdown, errors, keys, event streams, and the record of
//! each request. Knows no endpoint.

pub(crate) mod access;
pub(crate) mod anthropic_error;
mod audit;
pub(crate) mod auth;
pub(crate) mod bodies;
pub(crate) mod context;
mod cors;
pub(crate) mod error;
pub(crate) mod key_store;
mod keys;
pub(crate) mod large;
pub(crate) mod limits;
mod observe;
mod record;
pub(crate) mod server;
pub(crate) mod shutdown;
pub(crate) mod sse;
pub(crate) mod state;
pub(crate) mod timing;
mod tls;
mod trace;
mod trust;
pub(crate) mod watch;
