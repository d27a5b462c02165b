//! One engine and the actor that runs it: what is thrown away when either fails.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use hostler_executor::ModelExecutor;
use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{Semaphore, oneshot};

use crate::SchedulerConfig;
use crate::actor::SchedulerActor;
use crate::board::Board;
use crate::embedding::EmbeddingGate;
use crate::life::Lives;
use crate::metrics::SchedulerMetrics;
use crate::observer::WorkMeter;
use crate::state::State;

/// Requests that may be on their way to the actor beyond those that it can hold.
/// They are refused by the state, with a time to come back; only what is beyond
/// them is refused without having been looked at. A refusal takes microseconds.
const IN_TRANSIT_MAX: usize = 1024;

/// How long the owner waits for an actor's thread, and for the engine to free its
/// memory, before it goes on without them.
const BURIAL_WAIT: Duration = Duration::from_secs(10);

/// What submitting a request needs.
pub(crate) struct Incarnation {
    pub(crate) executor: Arc<dyn ModelExecutor>,
    pub(crate) actor: Addr<SchedulerActor>,
    pub(crate) lives: Arc<Lives>,
    pub(crate) meter: Arc<WorkMeter>,
    /// Bounds what is in the mailbox, the queue and the engine together.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) embeddings: EmbeddingGate,
    metrics: Arc<SchedulerMetrics>,
}

impl Incarnation {
    /// Starts an actor for a loaded engine, on a thread of its own, so that a
    /// busy scheduler starves nobody and a blocked one can be left behind.
    pub(crate) fn start(
        config: &SchedulerConfig,
        executor: Arc<dyn ModelExecutor>,
        board: &Arc<Board>,
        metrics: &Arc<SchedulerMetrics>,
        number: u64,
    ) -> (Arc<Self>, Arbiter) {
        let arbiter = Arbiter::new();
        let state = State::new(config, executor.description());
        let held_max = config.queue.requests_max as usize + state.slots() as usize;
        let meter = Arc::new(WorkMeter::default());
        let actor = SchedulerActor::start_in_arbiter(&arbiter.handle(), {
            let (executor, meter, board) = (Arc::clone(&executor), Arc::clone(&meter), Arc::clone(board));
            move |_| SchedulerActor::new(state, executor, meter, board, number)
        });
        let incarnation = Self {
            executor,
            actor,
            lives: Arc::default(),
            meter,
            permits: Arc::new(Semaphore::new(held_max + IN_TRANSIT_MAX)),
            embeddings: EmbeddingGate::default(),
            metrics: Arc::clone(metrics),
        };
        (Arc::new(incarnation), arbiter)
    }

    /// Answers every request at once, whatever state actor and engine are in.
    ///
    /// Those that the engine had begun end with `EngineFailed`. The others get
    /// `Unavailable` rather than wait for a fresh engine: a router can send them
    /// to another scheduler at once, and only it knows of the others; loading may
    /// take minutes.
    pub(crate) fn end_all(&self, why: &str) {
        let begun = RequestError::new(ErrorCode::EngineFailed, why);
        let queued = RequestError::new(ErrorCode::Unavailable, why);
        self.lives.end_all(&begun, &queued, |code| self.metrics.failed(code));
    }

    /// Ends the actor's thread and frees the engine, on a thread that may block:
    /// both can hang. Returns when it is done, or when it has taken too long.
    pub(crate) async fn bury(self: Arc<Self>, arbiter: Arbiter) {
        arbiter.stop();
        let (buried, done) = oneshot::channel();
        std::thread::spawn(move || {
            if arbiter.join().is_err() {
                tracing::error!("a scheduler's thread panicked");
            }
            drop(self);
            // The owner has gone on if nobody listens.
            let _ = buried.send(());
        });
        if tokio::time::timeout(BURIAL_WAIT, done).await.is_err() {
            tracing::error!("a failed engine does not let go of its thread; going on without it");
        }
    }
}
