//! The handle of the benchmark service.

use std::io;
use std::sync::{Arc, OnceLock};

use actix::{Actor, Addr, Arbiter, MailboxError};
use hostler_config::BenchmarksConfig;
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::Router;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::actor::BenchmarkActor;
use super::facts::Facts;
use super::loopback::{LoopbackGrpc, LoopbackHttp};
use super::messages::{CancelBenchmark, QueryBenchmark, QueryBenchmarks, QueryProgress, StopBenchmarks, SubmitOrder};
use super::order::Order;
use super::progress::BenchmarkProgress;
use super::record::{BenchmarkId, BenchmarkRecord, Status};
use super::runner::Runner;
use super::store::Store;

/// A handle of the benchmark service. Clones share one service.
#[derive(Clone)]
pub struct Benchmarks(Arc<Shared>);

struct Shared {
    actor: Addr<BenchmarkActor>,
    runner: Arc<Runner>,
    /// The threads of the actor and of the load generator.
    arbiters: Mutex<Vec<Arbiter>>,
}

impl Benchmarks {
    /// Starts the service with the stored results of earlier processes. Without
    /// `config.store`, results are kept in memory until the process ends. `commit` is the
    /// one that this program was built from, if known. Needs a running actix system.
    ///
    /// # Errors
    /// If the folder of results cannot be used.
    pub fn start(
        config: BenchmarksConfig,
        commit: Option<String>,
        router: Router,
        facts: Arc<dyn Facts>,
    ) -> io::Result<Self> {
        let (store, earlier) = Store::open(config.store.clone())?;
        let (loopback_http, loopback_grpc) = (OnceLock::new(), OnceLock::new());
        let runner = Arc::new(Runner { router, facts, config, commit, loopback_http, loopback_grpc });
        let (own, generator) = (Arbiter::new(), Arbiter::new());
        let (actor_runner, generator_handle) = (Arc::clone(&runner), generator.handle());
        let actor = BenchmarkActor::start_in_arbiter(&own.handle(), move |_| {
            BenchmarkActor::new(store, earlier, actor_runner, generator_handle)
        });
        Ok(Self(Arc::new(Shared { actor, runner, arbiters: Mutex::new(vec![own, generator]) })))
    }

    /// Sets the HTTP address of this server, once it is listening, for the layers above the
    /// router. Only the first call has an effect.
    pub fn set_loopback_http(&self, http: LoopbackHttp) {
        let _already_set = self.0.runner.loopback_http.set(http);
    }

    /// Sets how to connect to schedulers of this process over gRPC, for the layer `grpc`.
    /// Only the first call has an effect.
    pub fn set_loopback_grpc(&self, grpc: Arc<dyn LoopbackGrpc>) {
        let _already_set = self.0.runner.loopback_grpc.set(grpc);
    }

    /// Submits an order, which runs when it reaches the front of the queue.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field; `Overloaded`, if the queue is full.
    pub async fn submit(&self, order: Order) -> Result<BenchmarkId, RequestError> {
        let id = BenchmarkId::generate();
        self.enqueue(id.clone(), order).await?;
        Ok(id)
    }

    /// Submits an order and waits for the end of the benchmark. Dropping the future cancels it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and why there is no result.
    pub async fn run(&self, order: Order) -> Result<BenchmarkRecord, RequestError> {
        let id = BenchmarkId::generate();
        // Created before the submission, so that dropping the future during it cancels too.
        let mut cancel_on_drop = CancelOnDrop { benchmarks: self, id: Some(id.clone()) };
        let progress = self.enqueue(id.clone(), order).await?;
        // An error means that the service has ended; then there is no record either.
        let _ = progress.status().wait_for(|status| status.is_final()).await;
        cancel_on_drop.id = None;
        let record = self.get(&id).await?;
        match (record.status, &record.error) {
            (Status::Failed | Status::Interrupted, Some(error)) => Err(error.clone().into()),
            (Status::Cancelled, _) => Err(RequestError::new(ErrorCode::Cancelled, "the benchmark was cancelled")),
            _ => Ok(record),
        }
    }

    async fn enqueue(&self, id: BenchmarkId, order: Order) -> Result<Arc<BenchmarkProgress>, RequestError> {
        // Refuse an invalid order now, not when it leaves the queue.
        order.plan().map_err(|error| RequestError::invalid(error.param, error.reason))?;
        self.0.actor.send(SubmitOrder { id, order }).await.map_err(ended)?
    }

    /// The record of one benchmark.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: &BenchmarkId) -> Result<BenchmarkRecord, RequestError> {
        self.0.actor.send(QueryBenchmark(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// The records of all benchmarks, oldest first, without their results.
    ///
    /// # Errors
    /// `Unavailable`, if the service has ended.
    pub async fn list(&self) -> Result<Vec<BenchmarkRecord>, RequestError> {
        self.0.actor.send(QueryBenchmarks).await.map_err(ended)
    }

    /// The progress of a benchmark.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn progress(&self, id: &BenchmarkId) -> Result<Arc<BenchmarkProgress>, RequestError> {
        self.0.actor.send(QueryProgress(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// Cancels a benchmark. Returns whether it had not yet ended.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: &BenchmarkId) -> Result<bool, RequestError> {
        self.0.actor.send(CancelBenchmark(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// The number of schedulers of the order's model, including claimed ones.
    pub(super) fn schedulers_of(&self, order: &Order) -> usize {
        let schedulers = self.0.runner.router.schedulers();
        let named = order.scheduler.as_ref().and_then(|id| schedulers.iter().find(|snapshot| snapshot.id == *id));
        let model = order.model.clone().or_else(|| Some(named?.model.clone()));
        schedulers.iter().filter(|snapshot| model.as_ref().is_none_or(|model| snapshot.model == *model)).count()
    }

    /// Cancels all benchmarks. Returns when all claims are released.
    pub async fn stop(&self) {
        let (idle, is_idle) = oneshot::channel();
        self.0.actor.do_send(StopBenchmarks { idle });
        // An error means that the actor has ended, and its benchmarks with it.
        let _ = is_idle.await;
        let arbiters = std::mem::take(&mut *self.0.arbiters.lock());
        for arbiter in &arbiters {
            arbiter.stop();
        }
        let joined = tokio::task::spawn_blocking(move || arbiters.into_iter().all(|arbiter| arbiter.join().is_ok()));
        if !matches!(joined.await, Ok(true)) {
            tracing::error!("a benchmark thread panicked");
        }
    }
}

/// Cancels a benchmark when the future that waits for it is dropped.
struct CancelOnDrop<'a> {
    benchmarks: &'a Benchmarks,
    id: Option<BenchmarkId>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.benchmarks.0.actor.do_send(CancelBenchmark(id));
        }
    }
}

fn unknown(id: &BenchmarkId) -> RequestError {
    RequestError::new(ErrorCode::NotFound, format!("there is no benchmark {:?}", id.as_str()))
}

/// The actor has ended, because the process is shutting down.
fn ended(_: MailboxError) -> RequestError {
    RequestError::new(ErrorCode::Unavailable, "the benchmark service has ended")
}
