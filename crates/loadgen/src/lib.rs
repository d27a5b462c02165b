//! The load generator: sends requests to a target, measures the answers, and keeps the
//! results.
//!
//! A [`workload`] defines the requests and a [`shape`] when they are sent; a [`target`]
//! answers them. [`drive`] sends the requests of one run and [`measure`] records them.
//! [`rounds`] repeats the runs of a [`plan`], interleaved between targets. [`result`] is
//! what is stored and compared. [`ceiling`] checks that the generator itself was not the
//! bottleneck.
//!
//! This crate knows no actors, no HTTP server and no command line: targets inside a
//! Hostler process are in `hostler-benchmark`, reports in `hostler-report`.

pub mod ceiling;
pub mod drive;
pub mod measure;
pub mod plan;
pub mod result;
pub mod rounds;
pub mod shape;
pub mod target;
pub mod workload;
