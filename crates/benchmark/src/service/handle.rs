//! The one way in which others speak to the benchmark service.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use actix::{Actor, Addr, Arbiter, MailboxError};
use hostler_protocol::{ErrorCode, RequestError};
use hostler_router::Router;
use tokio::sync::oneshot;

use super::actor::BenchmarkActor;
use super::conduct::Conductor;
use super::messages::{CancelBenchmark, QueryBenchmark, QueryBenchmarks, QueryProgress, StopBenchmarks, SubmitOrder};
use super::order::Order;
use super::progress::Progress;
use super::record::{BenchmarkId, BenchmarkRecord, Status};
use super::store::Store;
use super::{BenchmarksConfig, Facts, Wire};

/// The benchmark service. Clones speak to the same one.
#[derive(Clone)]
pub struct Benchmarks(Arc<Shared>);

struct Shared {
    actor: Addr<BenchmarkActor>,
    conductor: Arc<Conductor>,
    /// The actor's thread and the generator's.
    arbiters: Mutex<Vec<Arbiter>>,
}

/// Where this server is reached from within.
#[derive(Clone, Debug)]
pub struct Loopback {
    /// `http://127.0.0.1:port`
    pub url: String,
    /// A key that may carry a claim; `None` where no keys are needed.
    pub api_key: Option<String>,
}

impl Benchmarks {
    /// Starts the service, with what an earlier process has kept. Needs a running
    /// actix system.
    ///
    /// # Errors
    /// If the folder of results cannot be used.
    pub fn start(config: BenchmarksConfig, router: Router, facts: Arc<dyn Facts>) -> io::Result<Self> {
        let (store, earlier) = Store::open(config.folder.clone())?;
        let (loopback, wire) = (OnceLock::new(), OnceLock::new());
        let conductor = Arc::new(Conductor { router, facts, config, loopback, wire });
        let (own, generator) = (Arbiter::new(), Arbiter::new());
        let (for_actor, for_loads) = (Arc::clone(&conductor), generator.handle());
        let actor = BenchmarkActor::start_in_arbiter(&own.handle(), move |_| {
            BenchmarkActor::new(store, earlier, for_actor, for_loads)
        });
        Ok(Self(Arc::new(Shared { actor, conductor, arbiters: Mutex::new(vec![own, generator]) })))
    }

    /// Where this server is reached from within, once it listens: the layers above the
    /// router are asked there. Only the first answer counts.
    pub fn set_loopback(&self, loopback: Loopback) {
        let _first_stands = self.0.conductor.loopback.set(loopback);
    }

    /// How a scheduler of this process is put behind a connection, so that the layer
    /// `grpc` can be asked of it too. Only the first answer counts.
    pub fn set_wire(&self, wire: Arc<dyn Wire>) {
        let _first_stands = self.0.conductor.wire.set(wire);
    }

    /// Takes an order. It is carried out when its turn comes.
    ///
    /// # Errors
    /// `InvalidRequest`, naming what is wrong; `Overloaded`, if too many wait.
    pub async fn submit(&self, order: Order) -> Result<BenchmarkId, RequestError> {
        let id = BenchmarkId::fresh();
        self.take(id.clone(), order).await?;
        Ok(id)
    }

    /// Takes an order, and waits until it is carried out. Dropping the future cancels it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), and why there is no result.
    pub async fn run(&self, order: Order) -> Result<BenchmarkRecord, RequestError> {
        let id = BenchmarkId::fresh();
        // Before it is ordered: whoever leaves while the order is taken has left, too.
        let mut patron = Patron { benchmarks: self, id: Some(id.clone()) };
        let progress = self.take(id.clone(), order).await?;
        // An error means that the service has ended, and then there is no record either.
        let _ = progress.status().wait_for(|status| status.is_final()).await;
        patron.id = None;
        let record = self.get(&id).await?;
        match (record.status, &record.error) {
            (Status::Failed, Some(error)) => Err(error.clone().into()),
            (Status::Cancelled, _) => Err(RequestError::new(ErrorCode::Cancelled, "somebody cancelled the benchmark")),
            _ => Ok(record),
        }
    }

    async fn take(&self, id: BenchmarkId, order: Order) -> Result<Arc<Progress>, RequestError> {
        // Refused now, not when its turn comes.
        order.plan().map_err(|error| RequestError::invalid(error.param, error.reason))?;
        self.0.actor.send(SubmitOrder { id, order }).await.map_err(ended)?
    }

    /// One benchmark.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(&self, id: &BenchmarkId) -> Result<BenchmarkRecord, RequestError> {
        self.0.actor.send(QueryBenchmark(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// All benchmarks that are remembered, the oldest first, without their results.
    ///
    /// # Errors
    /// `Unavailable`, if the service has ended.
    pub async fn list(&self) -> Result<Vec<BenchmarkRecord>, RequestError> {
        self.0.actor.send(QueryBenchmarks).await.map_err(ended)
    }

    /// How a benchmark goes on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn progress(&self, id: &BenchmarkId) -> Result<Arc<Progress>, RequestError> {
        self.0.actor.send(QueryProgress(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// Cancels a benchmark. Whether there was anything left to cancel.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn cancel(&self, id: &BenchmarkId) -> Result<bool, RequestError> {
        self.0.actor.send(CancelBenchmark(id.clone())).await.map_err(ended)?.ok_or_else(|| unknown(id))
    }

    /// How many schedulers serve the model that an order means, or would if nobody had
    /// claimed them; for defaults that depend on it.
    pub(super) fn schedulers_of(&self, order: &Order) -> usize {
        let schedulers = self.0.conductor.router.schedulers();
        let named = order.scheduler.as_ref().and_then(|id| schedulers.iter().find(|snapshot| snapshot.id == *id));
        let model = order.model.clone().or_else(|| Some(named?.model.clone()));
        schedulers.iter().filter(|snapshot| model.as_ref().is_none_or(|model| snapshot.model == *model)).count()
    }

    /// Cancels everything, and returns when every scheduler has been given back.
    pub async fn stop(&self) {
        let (idle, is_idle) = oneshot::channel();
        self.0.actor.do_send(StopBenchmarks { idle });
        // An error means that the actor is gone, and with it all that it had under way.
        let _ = is_idle.await;
        let arbiters = std::mem::take(&mut *self.0.arbiters.lock().unwrap_or_else(PoisonError::into_inner));
        for arbiter in &arbiters {
            arbiter.stop();
        }
        let joined = tokio::task::spawn_blocking(move || arbiters.into_iter().all(|arbiter| arbiter.join().is_ok()));
        if !matches!(joined.await, Ok(true)) {
            tracing::error!("a thread of the benchmarks panicked");
        }
    }
}

/// Whoever waits for a benchmark. When they leave, nobody wants it.
struct Patron<'a> {
    benchmarks: &'a Benchmarks,
    id: Option<BenchmarkId>,
}

impl Drop for Patron<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.benchmarks.0.actor.do_send(CancelBenchmark(id));
        }
    }
}

fn unknown(id: &BenchmarkId) -> RequestError {
    RequestError::new(ErrorCode::NotFound, format!("there is no benchmark {:?} here", id.as_str()))
}

/// The actor is gone: the process is on its way out.
fn ended(_: MailboxError) -> RequestError {
    RequestError::new(ErrorCode::Unavailable, "the benchmark service has ended")
}
