//! Benchmarks of a running Hostler on a scheduler of its own.
//!
//! An operator submits an [`Order`]. [`Benchmarks`] is the handle; behind it the
//! `BenchmarkActor` ([`actor`]) applies the decisions of its pure [`queue`]: one benchmark
//! runs at a time, the others wait in a bounded queue. The [`runner`] claims a scheduler,
//! waits until it is drained, measures it, and releases the claim in every case. The
//! [`ladder`] measures every layer from the engine to HTTP. The [`store`] keeps the results.
//!
//! This crate knows no HTTP server and no command line.

mod actor;
mod compat;
mod facts;
mod handle;
mod ladder;
mod layer;
mod loopback;
mod messages;
mod metrics;
mod order;
mod progress;
mod queue;
mod record;
mod rungs;
mod runner;
mod store;
pub mod targets;

pub use compat::{CompatRequest, CompatResponse};
pub use facts::Facts;
pub use handle::Benchmarks;
pub use hostler_config::BenchmarksConfig;
pub use ladder::{Rung, in_process_ceiling, run_ladder};
pub use layer::Layer;
pub use loopback::{GrpcConnection, LoopbackGrpc, LoopbackHttp};
pub use order::{ClaimTerms, DEFAULT_CONCURRENCY, DEFAULT_PROMPT, DEFAULT_REQUESTS, Order, OrderError, Profile};
pub use progress::{BenchmarkProgress, ProgressReport, RunProgress};
pub use record::{BenchmarkError, BenchmarkId, BenchmarkRecord, HeldClaim, Status};
