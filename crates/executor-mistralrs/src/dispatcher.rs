//! The thread between callers and the engine: it submits sequences, up to the number that
//! may run concurrently, and drains the engine's responses to them.
//!
//! The engine stops all sequences if a response channel is full, and panics if a receiver
//! was dropped. So this thread drains the responses, independently of the callers and their
//! runtimes. Tokens do not pass through this thread (see [`crate::processor`]).

mod state;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hostler_executor::EngineStatus;
use hostler_protocol::{ErrorCode, RequestError};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};

use self::state::Dispatch;
pub(crate) use self::state::{Job, Limits};
use crate::engine::Engine;
use crate::pipeline::SharedPipeline;

/// Capacity of the channel to the thread. Callers have at most as many sequences in flight
/// as may run concurrently; this limit is for one that does not.
const JOBS_MAX: usize = 1024;

/// Interval of checks for cancelled sequences that wait. Running ones are checked in their
/// next step.
const WAITING_SWEEP: Duration = Duration::from_millis(20);

/// Interval and maximum number of checks whether a stopped engine has dropped the model.
const RELEASE_POLL: Duration = Duration::from_millis(5);
const RELEASE_POLLS_MAX: u32 = 2_000;

/// Maximum wait for the thread when the executor is dropped. A step takes a fraction of
/// that; a long prefill may take longer, and then the thread finishes in the background.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// The handle of the thread. Dropping it stops the engine, and waits for a while until the
/// model has been freed.
pub(crate) struct Dispatcher {
    /// `None` only during drop.
    jobs: Option<Sender<Job>>,
    /// In a mutex because a receiver is not `Sync`.
    stopped: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Dispatcher {
    /// Starts the thread, which owns the engine.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn spawn(
        engine: Engine,
        pipeline: SharedPipeline,
        limits: Limits,
        status: Arc<EngineStatus>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let (stopping, stopped) = std::sync::mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("mistralrs-dispatch".to_owned()).spawn(move || {
            runtime.block_on(run(engine, inbox, limits, status));
            runtime.block_on(release(pipeline));
            // The receiver may have stopped waiting.
            let _ = stopping.send(());
        })?;
        Ok(Self { jobs: Some(jobs), stopped: Mutex::new(stopped) })
    }

    /// Sends a job to the thread; fails it if that is not possible.
    pub(crate) fn submit(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        let (job, code, message) = match jobs.try_send(job) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(job)) => (job, ErrorCode::Overloaded, "the engine's own queue is full"),
            Err(mpsc::error::TrySendError::Closed(job)) => (job, ErrorCode::EngineFailed, "the engine has stopped"),
        };
        job.generation.fail(RequestError::new(code, message));
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if self.stopped.get_mut().recv_timeout(STOP_WAIT_MAX).is_err() {
            tracing::warn!("the engine is still in a step; the model is freed when the step has ended");
        }
    }
}

/// Runs until the handle is dropped and every sequence has ended.
async fn run(engine: Engine, mut inbox: Receiver<Job>, limits: Limits, status: Arc<EngineStatus>) {
    let engine_ended = engine.ended();
    tokio::pin!(engine_ended);
    let mut dispatch = Dispatch::new(engine, limits, Arc::clone(&status));
    // Dropped before the sequences, even in a panic, so that the engine is marked as dead
    // when a client learns of the failure.
    let _guard = status.dead_on_drop();
    let mut sweep = tokio::time::interval(WAITING_SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(drained) = dispatch.draining.next() => dispatch.drained(drained),
            () = &mut engine_ended, if dispatch.is_alive() => dispatch.fail("its thread ended"),
            _ = sweep.tick(), if dispatch.is_waiting() => dispatch.sweep(),
            job = inbox.recv() => {
                let Some(job) = job else { break };
                dispatch.enqueue(job);
                // Submit all sequences that arrived together in the same step.
                while let Ok(job) = inbox.try_recv() {
                    dispatch.enqueue(job);
                }
            }
        }
        dispatch.submit_waiting();
    }
    dispatch.stop("it was stopped");
    while let Some(drained) = dispatch.draining.next().await {
        dispatch.drained(drained);
    }
}

/// Waits until the stopped engine has dropped the model, frees it, and returns its memory
/// to the system. This must be the last reference: if another thread were still freeing the
/// model, its memory would not be returned.
async fn release(pipeline: SharedPipeline) {
    for _ in 0..RELEASE_POLLS_MAX {
        if Arc::strong_count(&pipeline) == 1 {
            break;
        }
        tokio::time::sleep(RELEASE_POLL).await;
    }
    drop(pipeline);
    return_freed_memory();
}

/// Returns freed memory to the system. glibc would keep the memory of all weights until
/// another allocation of that size.
fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: glibc's allocator has its own locks; the call only affects free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
