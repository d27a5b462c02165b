//! The engine's thread: its handle, its queue, and its loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::JoinHandle;

use hostler_executor::EngineStatus;
use hostler_protocol::{ErrorCode, RequestError};

use crate::embedding::{Embedder, EmbeddingForward, EmbeddingJob};
use crate::engine::{Engine, Forward, Job};

/// The error of requests that arrive after the engine has stopped.
pub(crate) const STOPPED: &str = "the engine has stopped";

/// Work for the engine's thread.
pub(crate) enum Work {
    /// A sequence to generate.
    Generate(Box<Job>),
    /// A text to embed.
    Embed(EmbeddingJob),
}

/// The handle of the engine's thread. Dropping it stops the thread at the end of its step,
/// and waits until the model has been freed.
pub(crate) struct EngineThread {
    /// `None` only during drop.
    work: Option<SyncSender<Work>>,
    handle: Option<JoinHandle<()>>,
}

impl EngineThread {
    pub(crate) fn new(work: SyncSender<Work>, handle: JoinHandle<()>) -> Self {
        Self { work: Some(work), handle: Some(handle) }
    }

    /// Sends work to the thread; fails it if that is not possible.
    pub(crate) fn submit(&self, work: Work) {
        let Some(sender) = &self.work else { return };
        let (work, code, message) = match sender.try_send(work) {
            Ok(()) => return,
            Err(TrySendError::Full(work)) => (work, ErrorCode::Overloaded, "the engine's own queue is full"),
            Err(TrySendError::Disconnected(work)) => (work, ErrorCode::EngineFailed, STOPPED),
        };
        match work {
            Work::Generate(job) => job.generation.fail(RequestError::new(code, message)),
            Work::Embed(job) => job.fail(code, message),
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(handle) = self.handle.take() {
            // The sequences have already reported a panic of the thread.
            let _ = handle.join();
        }
    }
}

/// Runs `engine` until the handle is dropped or the engine fails. After each step,
/// `embedder` processes one chunk of a text, if there is one. While there is nothing to do,
/// the thread blocks on the channel.
pub(crate) fn run<F: Forward, E: EmbeddingForward>(
    engine: Engine<F>,
    mut embedder: Embedder<E>,
    work: &Receiver<Work>,
    status: &Arc<EngineStatus>,
) {
    let mut engine = engine;
    // Dropped before the engine, so that a client that sees a failed sequence finds the
    // engine dead.
    let _guard = status.dead_on_drop();
    while receive(&mut engine, &mut embedder, work) {
        if let Err(reason) = engine.step() {
            tracing::error!(reason, "llama.cpp failed; stopping the engine");
            status.mark_dead();
            engine.fail_all(&reason);
            return;
        }
        embedder.step();
        status.count_step();
    }
    status.mark_dead();
    engine.fail_all("it was stopped");
}

/// Accepts the work in the channel; blocks if there is nothing else to do. Returns false if
/// the handle was dropped.
fn receive<F: Forward, E: EmbeddingForward>(
    engine: &mut Engine<F>,
    embedder: &mut Embedder<E>,
    work: &Receiver<Work>,
) -> bool {
    let idle = engine.is_idle() && embedder.is_idle();
    let mut submit = |work| match work {
        Work::Generate(job) => engine.submit(*job),
        Work::Embed(job) => embedder.submit(job),
    };
    if idle {
        match work.recv() {
            Ok(work) => submit(work),
            Err(_) => return false,
        }
    }
    loop {
        match work.try_recv() {
            Ok(work) => submit(work),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}
