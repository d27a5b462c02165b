//! Messages of the benchmark actor. They come from operators, and from the running
//! benchmark.

use std::sync::Arc;

use actix::Message;
use hostler_protocol::RequestError;
use tokio::sync::oneshot;

use super::order::Order;
use super::progress::BenchmarkProgress;
use super::queue::Outcome;
use super::record::{BenchmarkId, BenchmarkRecord, HeldClaim};

/// Accepts or refuses an order.
#[derive(Message)]
#[rtype(result = "Result<Arc<BenchmarkProgress>, RequestError>")]
pub(super) struct SubmitOrder {
    /// Chosen by the sender, which can then cancel before the reply arrives.
    pub(super) id: BenchmarkId,
    pub(super) order: Order,
}

/// Cancels a benchmark. `None` if it does not exist, else whether it had not yet ended.
#[derive(Message)]
#[rtype(result = "Option<bool>")]
pub(super) struct CancelBenchmark(pub(super) BenchmarkId);

/// The running benchmark has claimed its scheduler.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SchedulerClaimed {
    pub(super) id: BenchmarkId,
    pub(super) claim: HeldClaim,
}

/// The running benchmark has ended and released its scheduler.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct BenchmarkEnded {
    pub(super) id: BenchmarkId,
    pub(super) outcome: Outcome,
}

/// The record of one benchmark.
#[derive(Message)]
#[rtype(result = "Option<BenchmarkRecord>")]
pub(super) struct QueryBenchmark(pub(super) BenchmarkId);

/// The records of all benchmarks, without their results.
#[derive(Message)]
#[rtype(result = "Vec<BenchmarkRecord>")]
pub(super) struct QueryBenchmarks;

/// The progress of one benchmark.
#[derive(Message)]
#[rtype(result = "Option<Arc<BenchmarkProgress>>")]
pub(super) struct QueryProgress(pub(super) BenchmarkId);

/// Cancels all benchmarks and refuses new ones.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopBenchmarks {
    /// Notified when no benchmark is running.
    pub(super) idle: oneshot::Sender<()>,
}
