//! The benchmark actor: applies the decisions of the queue.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ArbiterHandle, AsyncContext, Context, Handler, MessageResult};
use hostler_protocol::{ErrorCode, RequestError};
use hostler_util::unix_time;
use tokio::sync::{oneshot, watch};

use super::messages::{
    BenchmarkEnded, CancelBenchmark, QueryBenchmark, QueryBenchmarks, QueryProgress, SchedulerClaimed, StopBenchmarks,
    SubmitOrder,
};
use super::metrics;
use super::order::Order;
use super::progress::BenchmarkProgress;
use super::queue::{BenchmarkQueue, Effect, Outcome};
use super::record::{BenchmarkId, BenchmarkRecord, Status};
use super::runner::{Runner, Task};
use super::store::Store;

/// Owns the queue and the store. It runs on its own arbiter, because it writes files; the load
/// is generated on another one, so that this does not disturb the measurement.
pub(super) struct BenchmarkActor {
    queue: BenchmarkQueue,
    store: Store,
    runner: Arc<Runner>,
    generator: ArbiterHandle,
    progress: HashMap<BenchmarkId, Arc<BenchmarkProgress>>,
    /// Stops the running benchmark: by its value, or by being dropped with the actor.
    running: Option<(BenchmarkId, watch::Sender<bool>)>,
    stopped: bool,
    idle: Vec<oneshot::Sender<()>>,
}

impl BenchmarkActor {
    pub(super) fn new(
        store: Store,
        earlier: Vec<BenchmarkRecord>,
        runner: Arc<Runner>,
        generator: ArbiterHandle,
    ) -> Self {
        let (queue, effects) = BenchmarkQueue::new(runner.config.queue_max, runner.config.kept_max, earlier);
        let progress = queue.all().map(|record| (record.id.clone(), BenchmarkProgress::new(record.status))).collect();
        let actor = Self { queue, store, runner, generator, progress, running: None, stopped: false, idle: Vec::new() };
        // No benchmark of an earlier process is started, so the effects only concern files.
        for effect in effects {
            match effect {
                Effect::Save(id) => actor.save(&id),
                Effect::Remove(id) => actor.store.remove(&id),
                Effect::Start(..) | Effect::Stop(_) => {}
            }
        }
        actor
    }

    fn save(&self, id: &BenchmarkId) {
        let Some(record) = self.queue.get(id) else { return };
        self.store.save(record);
        if let Some(progress) = self.progress.get(id) {
            progress.set_status(record.status);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Start(id, order) => self.start(id, *order, ctx),
                Effect::Stop(id) => {
                    if let Some((_, stop)) = self.running.as_ref().filter(|(running, _)| *running == id) {
                        stop.send_replace(true);
                    }
                }
                Effect::Save(id) => self.save(&id),
                Effect::Remove(id) => {
                    self.store.remove(&id);
                    self.progress.remove(&id);
                }
            }
        }
        if self.running.is_none() {
            // A receiver that is gone no longer waits.
            for idle in self.idle.drain(..) {
                let _ = idle.send(());
            }
        }
    }

    fn start(&mut self, id: BenchmarkId, order: Order, ctx: &mut Context<Self>) {
        let Some(progress) = self.progress.get(&id).cloned() else { return };
        self.save(&id);
        let (stop, stopped) = watch::channel(false);
        self.running = Some((id.clone(), stop));
        let (claimed, ended) = (ctx.address(), ctx.address());
        let (runner, of) = (Arc::clone(&self.runner), id.clone());
        let on_claimed = Box::new(move |claim| claimed.do_send(SchedulerClaimed { id: of, claim }));
        let task = Task { id: id.clone(), order, progress, stop: stopped, on_claimed };
        // Also reports when the task is dropped: after a panic, or at the end of its arbiter.
        let report = EndReport { id, actor: ended, outcome: None };
        self.generator.spawn(async move {
            let mut report = report;
            report.outcome = Some(runner.run(task).await);
        });
    }
}

/// Reports the outcome of a benchmark to the actor, whatever happens to its task.
struct EndReport {
    id: BenchmarkId,
    actor: actix::Addr<BenchmarkActor>,
    outcome: Option<Outcome>,
}

impl Drop for EndReport {
    fn drop(&mut self) {
        let aborted = || RequestError::new(ErrorCode::Internal, "the task of the benchmark ended before the benchmark");
        let outcome = self.outcome.take().unwrap_or_else(|| Outcome::Failed(aborted().into()));
        self.actor.do_send(BenchmarkEnded { id: self.id.clone(), outcome });
    }
}

impl Actor for BenchmarkActor {
    type Context = Context<Self>;
}

impl Handler<SubmitOrder> for BenchmarkActor {
    type Result = Result<Arc<BenchmarkProgress>, RequestError>;

    fn handle(&mut self, SubmitOrder { id, order }: SubmitOrder, ctx: &mut Context<Self>) -> Self::Result {
        if self.stopped {
            return Err(RequestError::shutting_down());
        }
        let effects = self.queue.submit(id.clone(), order, unix_time().as_secs())?;
        let progress = BenchmarkProgress::new(Status::Queued);
        self.progress.insert(id, Arc::clone(&progress));
        self.perform(effects, ctx);
        Ok(progress)
    }
}

impl Handler<CancelBenchmark> for BenchmarkActor {
    type Result = Option<bool>;

    fn handle(&mut self, CancelBenchmark(id): CancelBenchmark, ctx: &mut Context<Self>) -> Option<bool> {
        let (cancelled, effects) = self.queue.cancel(&id, unix_time().as_secs());
        self.perform(effects, ctx);
        cancelled
    }
}

impl Handler<SchedulerClaimed> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, SchedulerClaimed { id, claim }: SchedulerClaimed, ctx: &mut Context<Self>) {
        tracing::info!(benchmark = %id, scheduler = %claim.scheduler, drain_seconds = claim.drain_seconds, "benchmark claimed its scheduler");
        let effects = self.queue.claimed(&id, claim);
        self.perform(effects, ctx);
    }
}

impl Handler<BenchmarkEnded> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, BenchmarkEnded { id, outcome }: BenchmarkEnded, ctx: &mut Context<Self>) {
        self.running = None;
        let effects = self.queue.ended(&id, outcome, unix_time().as_secs());
        if let Some(record) = self.queue.get(&id) {
            let error = record.error.as_ref().map(|error| error.message.as_str());
            tracing::info!(benchmark = %id, status = ?record.status, error, "benchmark ended");
            metrics::ended(record);
        }
        self.perform(effects, ctx);
    }
}

impl Handler<QueryBenchmark> for BenchmarkActor {
    type Result = Option<BenchmarkRecord>;

    fn handle(&mut self, QueryBenchmark(id): QueryBenchmark, _: &mut Context<Self>) -> Self::Result {
        self.queue.get(&id).cloned()
    }
}

impl Handler<QueryBenchmarks> for BenchmarkActor {
    type Result = MessageResult<QueryBenchmarks>;

    fn handle(&mut self, _: QueryBenchmarks, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.queue.all().map(BenchmarkRecord::summary).collect())
    }
}

impl Handler<QueryProgress> for BenchmarkActor {
    type Result = Option<Arc<BenchmarkProgress>>;

    fn handle(&mut self, QueryProgress(id): QueryProgress, _: &mut Context<Self>) -> Self::Result {
        self.progress.get(&id).cloned()
    }
}

impl Handler<StopBenchmarks> for BenchmarkActor {
    type Result = ();

    fn handle(&mut self, StopBenchmarks { idle }: StopBenchmarks, ctx: &mut Context<Self>) {
        self.stopped = true;
        self.idle.push(idle);
        let effects = self.queue.stop(unix_time().as_secs());
        self.perform(effects, ctx);
    }
}
