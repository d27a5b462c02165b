//! HTTP without the API: server, shutdown, errors, keys, event streams, and the record of
//! each request. Knows no endpoint.

pub(crate) mod anthropic_error;
pub(crate) mod auth;
pub(crate) mod bodies;
pub(crate) mod context;
pub(crate) mod error;
mod keys;
pub(crate) mod limits;
mod observe;
mod record;
pub(crate) mod server;
pub(crate) mod shutdown;
pub(crate) mod sse;
pub(crate) mod state;
pub(crate) mod timing;
mod trace;
mod trust;
