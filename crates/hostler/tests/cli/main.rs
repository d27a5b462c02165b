//! The command, run as a user runs it. Models are simulated, so that these tests hold
//! for a binary without engines too.

mod benchmarks;
mod cluster;
mod hub;
mod isolation;
mod options;
mod serving;
mod status;
mod support;
