//! The endpoints, a folder for each API, and the routes that lead to them.

pub(crate) mod admin;
mod anthropic;
mod benchmarks;
mod health;
mod native;
mod openai;
pub(crate) mod probes;
mod responses;
pub(crate) mod routes;
