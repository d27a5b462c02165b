//! The supervisor: loads engines, watches them, and replaces those that fail.
//!
//! It is not an actix supervisor, which restarts the same value and does not notice
//! panics. It keeps the factory and builds a new engine and a new actor. It runs on a
//! thread of its own, so that nothing it watches can block it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hostler_executor::{ExecutorFactory, LoadError, ModelExecutor};
use hostler_protocol::ErrorCode;
use hostler_util::{CHECKS_PER_LIMIT, Stall};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::incarnation::Incarnation;
use crate::messages::{DrainScheduler, Heartbeat};
use crate::shared::Shared;
use crate::state::{Lifecycle, Restarts, Transition};
use crate::vocabulary;
use crate::watchdog::Watchdog;
use crate::{SchedulerSnapshot, SchedulerState};

/// How often the supervisor checks the engine and the actor.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a scheduler from its start to its stop, over any number of engines.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    factory: Arc<dyn ExecutorFactory>,
    restarts: Restarts,
    lifecycle: Lifecycle,
    /// Resolves when the scheduler is stopped or its last handle is dropped.
    stop: oneshot::Receiver<()>,
}

/// Why an incarnation ended.
enum Exit {
    Stopped,
    Failed(String),
}

/// A heartbeat that the actor has not answered yet.
struct PendingHeartbeat {
    waited: Stall,
    answer: oneshot::Receiver<()>,
}

impl PendingHeartbeat {
    fn send(incarnation: &Incarnation, limit: Duration, now: Instant) -> Self {
        let (alive, answer) = oneshot::channel();
        incarnation.actor.do_send(Heartbeat { alive });
        Self { waited: Stall::new(limit, now), answer }
    }
}

impl Supervisor {
    pub(crate) fn new(shared: Arc<Shared>, factory: Arc<dyn ExecutorFactory>, stop: oneshot::Receiver<()>) -> Self {
        let restarts = Restarts::new(shared.config.recovery.clone());
        Self { shared, factory, restarts, lifecycle: Lifecycle::Starting, stop }
    }

    /// Runs until the scheduler is stopped.
    pub(crate) async fn run(mut self) {
        loop {
            let exit = match self.load().await {
                Some(Ok((executor, vocabulary))) => self.serve(executor, vocabulary).await,
                Some(Err(error)) => Exit::Failed(error.to_string()),
                None => Exit::Stopped,
            };
            match exit {
                Exit::Stopped => break,
                Exit::Failed(why) => self.failed(why),
            }
            let restart = self.restarts.next(Instant::now());
            if self.stopped_before(restart).await {
                break;
            }
            self.advance(Transition::Restart);
            self.shared.metrics.restarted();
            self.shared.publisher.begin_incarnation(|snapshot| {
                snapshot.state = SchedulerState::Starting;
                snapshot.restarts += 1;
            });
        }
        self.advance(Transition::Stop);
        self.shared.publisher.begin_incarnation(|snapshot| clear(snapshot, SchedulerState::Stopped));
    }

    /// Loads an engine on a thread of its own, and computes the hash of its vocabulary; `None` if
    /// the scheduler is stopped first.
    async fn load(&mut self) -> Option<Result<(Arc<dyn ModelExecutor>, u64), LoadError>> {
        let (loaded, result) = oneshot::channel();
        let factory = Arc::clone(&self.factory);
        std::thread::spawn(move || {
            // If the scheduler has been stopped, the engine is dropped here.
            let _ = loaded.send(factory.load(&()).map(|executor| {
                let vocabulary = vocabulary::digest(executor.as_ref());
                (executor, vocabulary)
            }));
        });
        tokio::select! {
            _ = &mut self.stop => None,
            result = result => Some(result.unwrap_or_else(|_| Err(LoadError::Engine("it panicked".into())))),
        }
    }

    /// Serves with one engine until it fails or the scheduler is stopped.
    async fn serve(&mut self, executor: Arc<dyn ModelExecutor>, vocabulary: u64) -> Exit {
        let shared = Arc::clone(&self.shared);
        self.advance(Transition::Loaded);
        let description = Arc::new(executor.description().clone());
        let number = shared.publisher.begin_incarnation(|snapshot| {
            snapshot.description = Some(description);
            snapshot.vocabulary = Some(vocabulary);
            snapshot.failure = None;
        });
        let (incarnation, arbiter) =
            Incarnation::start(&shared.config, executor, &shared.publisher, &shared.metrics, number);
        if shared.draining.load(Ordering::Acquire) {
            incarnation.actor.do_send(DrainScheduler { empty: oneshot::channel().0 });
        }
        // Before the first heartbeat, which makes the actor publish that it is serving.
        shared.set_incarnation(Some(Arc::clone(&incarnation)));
        tracing::info!(scheduler = %shared.config.id, "serving");

        let exit = self.watch(&incarnation, number).await;

        let (state, code, why) = match &exit {
            // The engine did nothing wrong, and a retry may succeed elsewhere.
            Exit::Stopped => (SchedulerState::Stopped, ErrorCode::Unavailable, "the scheduler was stopped"),
            Exit::Failed(why) => (SchedulerState::Failed, ErrorCode::EngineFailed, why.as_str()),
        };
        shared.publisher.begin_incarnation(|snapshot| clear(snapshot, state));
        shared.set_incarnation(None);
        incarnation.end_all(code, why);
        incarnation.shut_down(arbiter).await;
        exit
    }

    /// Checks the engine and the actor until one of them fails.
    async fn watch(&mut self, incarnation: &Incarnation, number: u64) -> Exit {
        let limit = self.shared.config.recovery.watchdog;
        let mut watchdog = Watchdog::new(limit, Instant::now());
        let mut heartbeat = PendingHeartbeat::send(incarnation, limit, Instant::now());
        let mut checks = tokio::time::interval(CHECK_INTERVAL.min(limit / CHECKS_PER_LIMIT));
        loop {
            tokio::select! {
                _ = &mut self.stop => return Exit::Stopped,
                _ = checks.tick() => {}
            }
            let now = Instant::now();
            match heartbeat.answer.try_recv() {
                Ok(()) => heartbeat = PendingHeartbeat::send(incarnation, limit, now),
                Err(TryRecvError::Closed) => return Exit::Failed("the scheduler's actor died".into()),
                Err(TryRecvError::Empty) => {
                    heartbeat.waited.check(now, true);
                    if heartbeat.waited.is_over() {
                        return Exit::Failed("the scheduler's actor does not answer".into());
                    }
                }
            }
            let running = self.shared.publisher.subscribe().borrow().running > 0;
            match watchdog.check(now, incarnation.executor.progress(), running) {
                Ok(since_step) => {
                    self.shared.publisher.publish(number, |snapshot| snapshot.since_last_step = since_step);
                }
                Err(fault) => return Exit::Failed(fault.to_string()),
            }
        }
    }

    fn failed(&mut self, why: String) {
        tracing::error!(scheduler = %self.shared.config.id, %why, "the engine failed");
        self.advance(Transition::Fail);
        self.shared.publisher.begin_incarnation(|snapshot| {
            clear(snapshot, SchedulerState::Failed);
            snapshot.failure = Some(why);
        });
    }

    /// Waits until `restart`. True if the scheduler was stopped before.
    async fn stopped_before(&mut self, restart: Instant) -> bool {
        tokio::time::timeout_at(restart.into(), &mut self.stop).await.is_ok()
    }

    fn advance(&mut self, transition: Transition) {
        match self.lifecycle.after(transition) {
            Ok(lifecycle) => self.lifecycle = lifecycle,
            Err(error) => tracing::error!(%error, "the supervisor's lifecycle state is inconsistent"),
        }
    }
}

/// Resets the load in the snapshot of a scheduler that has no engine.
fn clear(snapshot: &mut SchedulerSnapshot, state: SchedulerState) {
    snapshot.state = state;
    snapshot.running = 0;
    snapshot.waiting = Default::default();
    snapshot.kv_reserved_tokens = 0;
    snapshot.claim = None;
    snapshot.outstanding_tokens = 0;
    snapshot.estimated_wait = Duration::ZERO;
    snapshot.since_last_step = Duration::ZERO;
}
