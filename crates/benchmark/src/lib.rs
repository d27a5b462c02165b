//! Benchmarks: what a server, a scheduler or an engine gives under a stated load.
//!
//! A [`workload`] says what is asked and a [`shape`] when; a [`target`] is what
//! is asked. [`drive`] sends the requests and [`measure`] notes what happens;
//! [`bench`] puts them together into rounds, interleaved between contestants;
//! [`result`] is what is kept and compared, [`report`] how it is shown, and
//! [`ceiling`] makes sure that the generator itself was not what was measured. The
//! [`ladder`] does it all for each layer of a server in this process; [`service`] is
//! how a server's operator has it done, on a scheduler that is claimed for it.
//! This crate knows nothing of the HTTP server.

pub mod bench;
pub mod ceiling;
pub mod cli;
pub mod drive;
pub mod ladder;
pub mod measure;
pub mod report;
pub mod result;
pub mod service;
pub mod shape;
pub mod target;
pub mod workload;
