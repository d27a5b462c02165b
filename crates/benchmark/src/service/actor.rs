//! The benchmark actor: asks the state, and does what it says.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ArbiterHandle, AsyncContext, Context, Handler, MessageResult};
use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{oneshot, watch};

use super::conduct::{Conductor, Task, unix_seconds};
use super::messages::{
    BenchmarkEnded, CancelBenchmark, QueryBenchmark, QueryBenchmarks, QueryProgress, SchedulerClaimed, StopBenchmarks,
    SubmitOrder,
};
use super::metrics;
use super::order::Order;
use super::progress::Progress;
use super::record::{BenchmarkId, BenchmarkRecord};
use super::state::{Effect, Outcome, State};
use super::store::Store;

/// See the module's first line. It lives on an arbiter of its own, because it writes
/// files; loads are generated on another, so that nothing disturbs them.
pub(super) struct BenchmarkActor {
    state: State,
    store: Store,
    conductor: Arc<Conductor>,
    generator: ArbiterHandle,
    progress: HashMap<BenchmarkId, Arc<Progress>>,
    /// Stops the one that is under way: by its value, or by being dropped with the actor.
    under_way: Option<(BenchmarkId, watch::Sender<bool>)>,
    stopped: bool,
    idle: Vec<oneshot::Sender<()>>,
}

impl BenchmarkActor {
    pub(super) fn new(
        store: Store,
        earlier: Vec<BenchmarkRecord>,
        conductor: Arc<Conductor>,
        generator: ArbiterHandle,
    ) -> Self {
        let (state, effects) = State::new(conductor.config.queue_max, conductor.config.kept_max, earlier);
        let progress = state.all().map(|record| (record.id.clone(), Progress::new(record.status))).collect();
        let actor =
            Self { state, store, conductor, generator, progress, under_way: None, stopped: false, idle: Vec::new() };
        // Nothing of an earlier process is started, so there is nothing but files to do.
        for effect in effects {
            match effect {
                Effect::Save(id) => actor.save(&id),
                Effect::Forget(id) => actor.store.remove(&id),
                Effect::Start(..) | Effect::Stop(_) => {}
            }
        }
        actor
    }

    fn save(&self, id: &BenchmarkId) {
        let Some(record) = self.state.get(id) else { return };
        self.store.save(record);
        if let Some(progress) = self.progress.get(id) {
            progress.enter(record.status);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Start(id, order) => self.start(id, *order, ctx),
                Effect::Stop(id) => {
                    if let Some((_, stop)) = self.under_way.as_ref().filter(|(under_way, _)| *under_way == id) {
                        stop.send_replace(true);
                    }
                }
                Effect::Save(id) => self.save(&id),
                Effect::Forget(id) => {
                    self.store.remove(&id);
                    self.progress.remove(&id);
                }
            }
        }
        if self.under_way.is_none() {
            // Whoever no longer waits does not mind.
            for idle in self.idle.drain(..) {
                let _ = idle.send(());
            }
        }
    }

    fn start(&mut self, id: BenchmarkId, order: Order, ctx: &mut Context<Self>) {
        let Some(progress) = self.progress.get(&id).cloned() else { return };
        self.save(&id);
        let (stop, stopped) = watch::channel(false);
        self.under_way = Some((id.clone(), stop));
        let (claimed, ended) = (ctx.address(), ctx.address());
        let (conductor, of) = (Arc::clone(&self.conductor), id.clone());
        let on_claimed = Box::new(move |claim| claimed.do_send(SchedulerClaimed { id: of, claim }));
        let task = Task { id: id.clone(), order, progress, stop: stopped, on_claimed };
        // Told when the task is dropped as well: a panic, or the end of its arbiter.
        let report = Report { id, actor: ended, outcome: None };
        self.generator.spawn(async move {
            let mut report = report;
            report.outcome = Some(conductor.conduct(task).await);
        });
    }
}

/// Tells the actor how a benchmark ended, whatever happens to its task.
struct Report {
    id: BenchmarkId,
    actor: actix::Addr<BenchmarkActor>,
    outcome: Option<Outcome>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let broken = || RequestError::new(ErrorCode::Internal, "the benchmark's task ended before the benchmark did");
        let outcome = self.outcome.take().unwrap_or_else(|| Outcome::Failed(broken().into()));
        self.actor.do_send(BenchmarkEnded { id: self.id.clone(), outcome });
    }
}

impl Actor for BenchmarkActor {
    type Context = Context<Self>;
}

impl Handler<SubmitOrder> for BenchmarkActor {
    type Result = Result<Arc<Progress>, RequestError>;

    fn handle(&mut self, SubmitOrder { id, order }: SubmitOrder, ctx: &mut Context<Self>) -> Self::Result {
        if self.stopped {
            return Err(RequestError::shutting_down());
        }
        let effects = self.state.submit(id.clone(), order, unix_seconds())?;
        let progress = Progress::new(super::Status::Queued);
        self.progress.insert(id, Arc::clone(&progress));
        self.perform(effects, ctx);
        Ok(progress)
    }
}

impl Handler<CancelBenchmark> for BenchmarkActor {
    type Result = Option<bool>;

    fn handle(&mut self, CancelBenchmark(id): CancelBenchmark, ctx: &mut Context<Self>) -> Option<bool> {
        let (cancelled, effects) = self.state.cancel(&id, unix_seconds());
        self.perform(effects, ctx);
        cancelled
    }
}

impl Handler<SchedulerClaimed> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, SchedulerClaimed { id, claim }: SchedulerClaimed, ctx: &mut Context<Self>) {
        tracing::info!(benchmark = %id, scheduler = %claim.scheduler, drain_seconds = claim.drain_seconds, "a benchmark has its scheduler");
        let effects = self.state.claimed(&id, claim);
        self.perform(effects, ctx);
    }
}

impl Handler<BenchmarkEnded> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, BenchmarkEnded { id, outcome }: BenchmarkEnded, ctx: &mut Context<Self>) {
        self.under_way = None;
        let effects = self.state.ended(&id, outcome, unix_seconds());
        if let Some(record) = self.state.get(&id) {
            let error = record.error.as_ref().map(|error| error.message.as_str());
            tracing::info!(benchmark = %id, status = ?record.status, error, "a benchmark has ended");
            metrics::ended(record);
        }
        self.perform(effects, ctx);
    }
}

impl Handler<QueryBenchmark> for BenchmarkActor {
    type Result = Option<BenchmarkRecord>;

    fn handle(&mut self, QueryBenchmark(id): QueryBenchmark, _: &mut Context<Self>) -> Self::Result {
        self.state.get(&id).cloned()
    }
}

impl Handler<QueryBenchmarks> for BenchmarkActor {
    type Result = MessageResult<QueryBenchmarks>;

    fn handle(&mut self, _: QueryBenchmarks, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.state.all().map(BenchmarkRecord::summary).collect())
    }
}

impl Handler<QueryProgress> for BenchmarkActor {
    type Result = Option<Arc<Progress>>;

    fn handle(&mut self, QueryProgress(id): QueryProgress, _: &mut Context<Self>) -> Self::Result {
        self.progress.get(&id).cloned()
    }
}

impl Handler<StopBenchmarks> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, StopBenchmarks { idle }: StopBenchmarks, ctx: &mut Context<Self>) {
        self.stopped = true;
        self.idle.push(idle);
        let effects = self.state.stop(unix_seconds());
        self.perform(effects, ctx);
    }
}
