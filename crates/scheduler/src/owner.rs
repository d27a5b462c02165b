//! The owner: loads engines, watches them, and replaces those that fail.
//!
//! It is no actix supervisor, which restarts the same value and does not see
//! panics: it keeps the factory, and builds a fresh engine and a fresh actor. It
//! runs on a thread of its own, because a watchdog that shares one with what it
//! watches is none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hostler_executor::{ExecutorFactory, LoadError, ModelExecutor};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::SchedulerState;
use crate::incarnation::Incarnation;
use crate::local::Shared;
use crate::messages::{DrainScheduler, Heartbeat};
use crate::state::{Lifecycle, Restarts, Transition};
use crate::watchdog::Watchdog;

/// How often the owner looks at the engine and the actor.
const ROUND: Duration = Duration::from_millis(100);

/// Owns what a scheduler is made of.
pub(crate) struct Owner {
    shared: Arc<Shared>,
    factory: Arc<dyn ExecutorFactory>,
    restarts: Restarts,
    lifecycle: Lifecycle,
    /// Resolves when the scheduler shall stop, also when its last handle is gone.
    stop: oneshot::Receiver<()>,
}

/// Why the owner stopped watching.
enum End {
    Stopped,
    Failed(String),
}

/// A heartbeat on its way.
struct Pulse {
    sent: Instant,
    answer: oneshot::Receiver<()>,
}

impl Pulse {
    fn beat(incarnation: &Incarnation, now: Instant) -> Self {
        let (alive, answer) = oneshot::channel();
        incarnation.actor.do_send(Heartbeat { alive });
        Self { sent: now, answer }
    }
}

impl Owner {
    pub(crate) fn new(shared: Arc<Shared>, factory: Arc<dyn ExecutorFactory>, stop: oneshot::Receiver<()>) -> Self {
        let restarts = Restarts::new(shared.config.recovery.clone());
        Self { shared, factory, restarts, lifecycle: Lifecycle::Starting, stop }
    }

    /// Runs until the scheduler is stopped.
    pub(crate) async fn run(mut self) {
        loop {
            let end = match self.load().await {
                Some(Ok(executor)) => self.serve(executor).await,
                Some(Err(error)) => End::Failed(error.to_string()),
                None => End::Stopped,
            };
            match end {
                End::Stopped => break,
                End::Failed(why) => self.failed(why),
            }
            let restart = self.restarts.next(Instant::now());
            if self.stopped_before(restart).await {
                break;
            }
            self.advance(Transition::Restart);
            self.shared.metrics.restarted();
            self.shared.board.supersede(|snapshot| {
                snapshot.state = SchedulerState::Starting;
                snapshot.restarts += 1;
            });
        }
        self.advance(Transition::Stop);
        self.shared.board.supersede(|snapshot| clear(snapshot, SchedulerState::Stopped));
    }

    /// Loads on a thread of its own; `None` if the scheduler is stopped meanwhile.
    async fn load(&mut self) -> Option<Result<Arc<dyn ModelExecutor>, LoadError>> {
        let (loaded, result) = oneshot::channel();
        let factory = Arc::clone(&self.factory);
        std::thread::spawn(move || {
            // Where nobody waits any more, what was loaded is dropped here.
            let _ = loaded.send(factory.load(&()));
        });
        tokio::select! {
            _ = &mut self.stop => None,
            result = result => Some(result.unwrap_or_else(|_| Err(LoadError::Engine("it panicked".into())))),
        }
    }

    /// Serves with one engine, until it fails or the scheduler is stopped.
    async fn serve(&mut self, executor: Arc<dyn ModelExecutor>) -> End {
        let shared = Arc::clone(&self.shared);
        self.advance(Transition::Loaded);
        let description = Arc::new(executor.description().clone());
        let number = shared.board.supersede(|snapshot| {
            snapshot.description = Some(description);
            snapshot.failure = None;
        });
        let (incarnation, arbiter) =
            Incarnation::start(&shared.config, executor, &shared.board, &shared.metrics, number);
        if shared.draining.load(Ordering::Acquire) {
            incarnation.actor.do_send(DrainScheduler { empty: oneshot::channel().0 });
        }
        // Before the first heartbeat, with which the actor says that it serves.
        shared.set_incarnation(Some(Arc::clone(&incarnation)));
        tracing::info!(scheduler = %shared.config.id, "serving");

        let end = self.watch(&incarnation, number).await;

        let (state, why) = match &end {
            End::Stopped => (SchedulerState::Stopped, "the scheduler was stopped"),
            End::Failed(why) => (SchedulerState::Failed, why.as_str()),
        };
        shared.board.supersede(|snapshot| clear(snapshot, state));
        shared.set_incarnation(None);
        incarnation.end_all(why);
        incarnation.bury(arbiter).await;
        end
    }

    /// Looks at engine and actor until one of them fails.
    async fn watch(&mut self, incarnation: &Incarnation, number: u64) -> End {
        let limit = self.shared.config.recovery.watchdog;
        let mut watchdog = Watchdog::new(limit, Instant::now());
        let mut heartbeat = Pulse::beat(incarnation, Instant::now());
        let mut rounds = tokio::time::interval(ROUND.min(limit / 4));
        loop {
            tokio::select! {
                _ = &mut self.stop => return End::Stopped,
                _ = rounds.tick() => {}
            }
            let now = Instant::now();
            match heartbeat.answer.try_recv() {
                Ok(()) => heartbeat = Pulse::beat(incarnation, now),
                Err(TryRecvError::Closed) => return End::Failed("the scheduler's actor died".into()),
                Err(TryRecvError::Empty) if now - heartbeat.sent >= limit => {
                    return End::Failed("the scheduler's actor does not answer".into());
                }
                Err(TryRecvError::Empty) => {}
            }
            let running = self.shared.board.subscribe().borrow().running > 0;
            match watchdog.check(now, incarnation.executor.progress(), running) {
                Ok(still) => self.shared.board.publish(number, |snapshot| snapshot.since_last_step = still),
                Err(fault) => return End::Failed(fault.to_string()),
            }
        }
    }

    fn failed(&mut self, why: String) {
        tracing::error!(scheduler = %self.shared.config.id, %why, "the engine failed");
        self.advance(Transition::Fail);
        self.shared.board.supersede(|snapshot| {
            clear(snapshot, SchedulerState::Failed);
            snapshot.failure = Some(why);
        });
    }

    /// Whether the scheduler was stopped before it was time for the restart.
    async fn stopped_before(&mut self, restart: Instant) -> bool {
        tokio::time::timeout_at(restart.into(), &mut self.stop).await.is_ok()
    }

    fn advance(&mut self, transition: Transition) {
        match self.lifecycle.after(transition) {
            Ok(lifecycle) => self.lifecycle = lifecycle,
            Err(error) => tracing::error!(%error, "the owner lost track of its scheduler"),
        }
    }
}

/// Nothing runs and nothing waits in a scheduler without an engine.
fn clear(snapshot: &mut crate::SchedulerSnapshot, state: SchedulerState) {
    snapshot.state = state;
    snapshot.running = 0;
    snapshot.waiting = Default::default();
    snapshot.kv_reserved_tokens = 0;
    snapshot.claim = None;
    snapshot.outstanding_tokens = 0;
    snapshot.estimated_wait = Duration::ZERO;
    snapshot.since_last_step = Duration::ZERO;
}
