//! The thread between callers and the engine: it hands sequences over, as many as may
//! run at once, and drains what the engine says of them.
//!
//! The engine stops, for everyone, when a response finds no room, and panics when a
//! receiver is gone; so they are drained here, whatever becomes of the callers and
//! their runtimes. Tokens do not pass through here (see [`crate::processor`]).

mod drain;
mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use hostler_executor_kit::Generation;
use hostler_protocol::{ErrorCode, RequestError, TokenId};
use tokio::sync::mpsc::{self, Receiver, Sender};

use self::state::Dispatch;
use crate::engine::Engine;
use crate::life::{EndOnDrop, Life};
use crate::memory;
use crate::pipeline::SharedPipeline;

/// Sequences on their way to the thread and not yet there. A caller keeps no more in
/// flight than the engine runs at once; this is for one that does not.
const JOBS_MAX: usize = 1024;

/// How long a sequence that waits may be cancelled without noticing. Those that run
/// notice at their next step.
const WAITING_SWEEP: Duration = Duration::from_millis(20);

/// How often, and how many times, it is asked whether a stopped engine has let go of
/// the model.
const RELEASE_POLL: Duration = Duration::from_millis(5);
const RELEASE_POLLS_MAX: u32 = 2_000;

/// Longest wait for the thread when the executor is dropped. A step is over in a
/// fraction of that, a long prompt may not be; then the rest happens behind.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// A sequence that has been checked.
pub(crate) struct Job {
    /// What the engine reads as a prompt.
    pub(crate) tokens: Vec<TokenId>,
    /// What it takes after that, step by step, before it goes on by itself.
    pub(crate) replay: Vec<TokenId>,
    pub(crate) max_new_tokens: u32,
    pub(crate) generation: Generation,
}

/// What the thread needs to know of the model.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) max_sequences: usize,
    pub(crate) end_token: TokenId,
    pub(crate) vocabulary_size: u32,
}

/// The way to the thread. Dropped, it stops the engine, and waits a while for the
/// model to be free.
pub(crate) struct Dispatcher {
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job>>,
    /// Behind a lock only because a receiver cannot be shared between threads.
    stopped: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Dispatcher {
    /// Starts the thread, which owns the engine from now on.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn spawn(
        engine: Engine,
        pipeline: SharedPipeline,
        rules: Rules,
        life: Arc<Life>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let (stopping, stopped) = std::sync::mpsc::sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("mistralrs-dispatch".to_owned()).spawn(move || {
            runtime.block_on(run(engine, inbox, rules, life));
            runtime.block_on(release(pipeline));
            // Where nobody waits for it, nobody needs it.
            let _ = stopping.send(());
        })?;
        Ok(Self { jobs: Some(jobs), stopped: Mutex::new(stopped) })
    }

    /// Hands a job over; if that cannot be, ends it with the reason.
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
        let stopped = self.stopped.get_mut().unwrap_or_else(PoisonError::into_inner);
        if stopped.recv_timeout(STOP_WAIT_MAX).is_err() {
            tracing::warn!("the engine is still in a step; its model is freed when that is over");
        }
    }
}

/// Runs until nobody can send a job any more, and every sequence has ended.
async fn run(engine: Engine, mut inbox: Receiver<Job>, rules: Rules, life: Arc<Life>) {
    let engine_ended = engine.ended();
    tokio::pin!(engine_ended);
    let mut dispatch = Dispatch::new(engine, rules, Arc::clone(&life));
    // Dropped before the sequences, in a panic too: whoever hears that one of them
    // failed finds the engine dead.
    let _end = EndOnDrop(life);
    let mut sweep = tokio::time::interval(WAITING_SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(drained) = dispatch.draining.next() => dispatch.drained(drained),
            () = &mut engine_ended, if dispatch.is_alive() => dispatch.fail("it ended by itself"),
            _ = sweep.tick(), if dispatch.is_waiting() => dispatch.sweep(),
            job = inbox.recv() => {
                let Some(job) = job else { break };
                dispatch.enqueue(job);
                // The rest of a cohort, so that it reaches the engine together.
                while let Ok(job) = inbox.try_recv() {
                    dispatch.enqueue(job);
                }
            }
        }
        dispatch.hand_over();
    }
    dispatch.stop("it was stopped");
    while let Some(drained) = dispatch.draining.next().await {
        dispatch.drained(drained);
    }
}

/// Waits until the stopped engine has let go of the model, frees it, and gives its
/// memory back. It is freed here, by its last owner: another's drop could still be at
/// it when the memory is given back.
async fn release(pipeline: SharedPipeline) {
    for _ in 0..RELEASE_POLLS_MAX {
        if Arc::strong_count(&pipeline) == 1 {
            break;
        }
        tokio::time::sleep(RELEASE_POLL).await;
    }
    drop(pipeline);
    memory::give_back_freed();
}
