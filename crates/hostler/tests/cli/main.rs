//! The command, run as a user runs it. Models are simulated, so that these tests apply to a
//! binary without engines too.

mod benchmarks;
mod cluster;
mod hub;
mod isolation;
mod options;
mod serving;
mod status;
mod support;
mod verify;
