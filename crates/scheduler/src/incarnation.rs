//! An incarnation: one loaded engine and the actor that runs it. If either fails, both
//! are replaced.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use hostler_executor::ModelExecutor;
use hostler_protocol::{ErrorCode, RequestError};
use tokio::sync::{Semaphore, oneshot};

use crate::SchedulerConfig;
use crate::active::ActiveRequests;
use crate::actor::SchedulerActor;
use crate::embedding::EmbeddingLimiter;
use crate::metrics::SchedulerMetrics;
use crate::observer::WorkMeter;
use crate::publisher::SnapshotPublisher;
use crate::state::SchedulingState;
use crate::text_work::TextWork;

/// Requests that can be on their way to the actor beyond those that it can hold. The
/// state refuses them with a retry reservation; requests beyond them are refused without
/// one. A refusal takes microseconds.
const IN_TRANSIT_MAX: usize = 1024;

/// How long the supervisor waits for the actor's thread to stop and for the engine to
/// free its memory, before it abandons them.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// An engine, its actor, and what submitting a request to them needs.
pub(crate) struct Incarnation {
    pub(crate) executor: Arc<dyn ModelExecutor>,
    pub(crate) actor: Addr<SchedulerActor>,
    pub(crate) active: Arc<ActiveRequests>,
    pub(crate) meter: Arc<WorkMeter>,
    /// Limits the requests in the mailbox, the queue and the engine together.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) embeddings: EmbeddingLimiter,
    pub(crate) texts: TextWork,
    metrics: Arc<SchedulerMetrics>,
}

impl Incarnation {
    /// Starts an actor for a loaded engine, on a thread of its own: a busy actor delays
    /// no other task, and a blocked one can be abandoned.
    pub(crate) fn start(
        config: &SchedulerConfig,
        executor: Arc<dyn ModelExecutor>,
        publisher: &Arc<SnapshotPublisher>,
        metrics: &Arc<SchedulerMetrics>,
        number: u64,
    ) -> (Arc<Self>, Arbiter) {
        let arbiter = Arbiter::new();
        let state = SchedulingState::new(config, executor.description());
        let held_max = config.queue.requests_max as usize + state.slots() as usize;
        let meter = Arc::new(WorkMeter::default());
        let actor = SchedulerActor::start_in_arbiter(&arbiter.handle(), {
            let (executor, meter, publisher) = (Arc::clone(&executor), Arc::clone(&meter), Arc::clone(publisher));
            move |_| SchedulerActor::new(state, executor, meter, publisher, number)
        });
        let incarnation = Self {
            texts: TextWork::start(Arc::clone(&executor)),
            executor,
            actor,
            active: Arc::default(),
            meter,
            permits: Arc::new(Semaphore::new(held_max + IN_TRANSIT_MAX)),
            embeddings: EmbeddingLimiter::default(),
            metrics: Arc::clone(metrics),
        };
        (Arc::new(incarnation), arbiter)
    }

    /// Ends all requests at once, whatever state the actor and the engine are in.
    ///
    /// Requests that the engine had started end with the code `started`. The others end with
    /// `Unavailable` instead of waiting for a new engine: loading may take minutes, and
    /// the router can send them to another scheduler at once.
    pub(crate) fn end_all(&self, started: ErrorCode, why: &str) {
        for request in self.active.close_and_drain(()) {
            let code = if request.started() { started } else { ErrorCode::Unavailable };
            request.cut_off.set(RequestError::new(code, why));
            if request.count_once() {
                self.metrics.failed(code);
            }
        }
    }

    /// Stops the actor's thread and frees the engine, on a thread that may block because
    /// both can hang. Returns when that is done or [`SHUTDOWN_TIMEOUT`] has passed.
    pub(crate) async fn shut_down(self: Arc<Self>, arbiter: Arbiter) {
        arbiter.stop();
        let (stopped, done) = oneshot::channel();
        std::thread::spawn(move || {
            if arbiter.join().is_err() {
                tracing::error!("a scheduler's thread panicked");
            }
            drop(self);
            // The supervisor no longer listens after the timeout.
            let _ = stopped.send(());
        });
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, done).await.is_err() {
            tracing::error!("engine thread did not stop in time; abandoning it");
        }
    }
}
