//! What the benchmark actor is told and asked. Every message comes from an operator,
//! or from the one benchmark that is under way.

use std::sync::Arc;

use actix::Message;
use hostler_protocol::RequestError;
use tokio::sync::oneshot;

use super::order::Order;
use super::progress::Progress;
use super::record::{BenchmarkId, BenchmarkRecord, Claimed};
use super::state::Outcome;

/// Takes an order, or refuses it.
#[derive(Message)]
#[rtype(result = "Result<Arc<Progress>, RequestError>")]
pub(super) struct SubmitOrder {
    /// Fresh: whoever orders knows it before there is an answer, and can cancel.
    pub(super) id: BenchmarkId,
    pub(super) order: Order,
}

/// Somebody does not want it any more. `None` if there is no such benchmark, else
/// whether there was something to cancel.
#[derive(Message)]
#[rtype(result = "Option<bool>")]
pub(super) struct CancelBenchmark(pub(super) BenchmarkId);

/// The benchmark that is under way has its scheduler.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SchedulerClaimed {
    pub(super) id: BenchmarkId,
    pub(super) claim: Claimed,
}

/// The benchmark that was under way has ended, and its scheduler is free again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct BenchmarkEnded {
    pub(super) id: BenchmarkId,
    pub(super) outcome: Outcome,
}

/// What is known of one benchmark.
#[derive(Message)]
#[rtype(result = "Option<BenchmarkRecord>")]
pub(super) struct QueryBenchmark(pub(super) BenchmarkId);

/// What is known of all benchmarks, without their results.
#[derive(Message)]
#[rtype(result = "Vec<BenchmarkRecord>")]
pub(super) struct QueryBenchmarks;

/// How one benchmark goes on.
#[derive(Message)]
#[rtype(result = "Option<Arc<Progress>>")]
pub(super) struct QueryProgress(pub(super) BenchmarkId);

/// Cancels everything, and takes nothing new.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopBenchmarks {
    /// Hears when nothing is under way any more.
    pub(super) idle: oneshot::Sender<()>,
}
