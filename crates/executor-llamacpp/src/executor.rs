//! A loaded model as the rest of Hostler sees it.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use hostler_executor::{ModelExecutor, Progress, Sequence, TextCodec, TokenSink};
use hostler_executor_kit::Reception;
use hostler_protocol::{ErrorCode, ModelDescription, RequestError};

use crate::codec::LlamaCodec;
use crate::engine::Job;
use crate::life::Life;

/// A model on llama.cpp: the handle to the thread that runs it.
pub(crate) struct LlamacppExecutor {
    pub(crate) description: ModelDescription,
    pub(crate) codec: LlamaCodec,
    pub(crate) reception: Reception,
    pub(crate) life: Arc<Life>,
    pub(crate) thread: EngineThread,
}

/// The engine's thread and the way to it. Dropped, it stops the thread, at the end
/// of its step, and waits for that: then the model is free.
pub(crate) struct EngineThread {
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl EngineThread {
    pub(crate) fn new(jobs: SyncSender<Job>, handle: JoinHandle<()>) -> Self {
        Self { jobs: Some(jobs), handle: Some(handle) }
    }

    /// Hands a job over; if that cannot be, ends it with the reason.
    fn submit(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        let (job, code, message) = match jobs.try_send(job) {
            Ok(()) => return,
            Err(TrySendError::Full(job)) => (job, ErrorCode::Overloaded, "the engine's own queue is full"),
            Err(TrySendError::Disconnected(job)) => (job, ErrorCode::EngineFailed, "the engine has stopped"),
        };
        job.generation.fail(RequestError::new(code, message));
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(handle) = self.handle.take() {
            // A panic of the thread has been told to every sequence already.
            let _ = handle.join();
        }
    }
}

impl ModelExecutor for LlamacppExecutor {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn text(&self) -> &dyn TextCodec {
        &self.codec
    }

    /// A constraint is compiled here, on the caller's thread: the engine's has
    /// other sequences to serve.
    fn start(&self, sequence: Sequence, sink: TokenSink) {
        if let Some(generation) = self.reception.admit(&sequence, sink, self.codec.incremental()) {
            self.thread.submit(Job { sequence, generation });
        }
    }

    fn progress(&self) -> Progress {
        self.life.progress()
    }
}
