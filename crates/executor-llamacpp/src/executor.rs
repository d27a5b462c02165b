//! A loaded model as the rest of Hostler sees it.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::ready;
use hostler_executor::{CompileFuture, EmbeddingFuture, ModelExecutor, Progress, Sequence, TextCodec, TokenSink};
use hostler_executor_kit::Reception;
use hostler_protocol::{Constraint, ErrorCode, ModelDescription, RequestError, TokenId};

use crate::codec::LlamaCodec;
use crate::embedding::EmbeddingJob;
use crate::engine::Job;
use crate::life::{Life, Work};

/// What whoever comes too late is told.
const STOPPED: &str = "the engine has stopped";

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
    work: Option<SyncSender<Work>>,
    handle: Option<JoinHandle<()>>,
}

impl EngineThread {
    pub(crate) fn new(work: SyncSender<Work>, handle: JoinHandle<()>) -> Self {
        Self { work: Some(work), handle: Some(handle) }
    }

    /// Hands work over; if that cannot be, ends it with the reason.
    fn submit(&self, work: Work) {
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

    fn compile(&self, constraint: Constraint, answered: Vec<TokenId>) -> CompileFuture {
        self.reception.constraints.compile(constraint, answered)
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        if let Some(generation) = self.reception.admit(&sequence, sink, self.codec.incremental()) {
            self.thread.submit(Work::Generate(Box::new(Job { sequence, generation })));
        }
    }

    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        if self.description.capabilities.embedding_dimensions.is_none() {
            let message = "this model is a reranker and does not support embeddings";
            return ready(Err(RequestError::new(ErrorCode::InvalidRequest, message))).boxed();
        }
        if let Err(error) = self.reception.limits.check_text(&tokens) {
            return ready(Err(error)).boxed();
        }
        let (reply, answer) = oneshot::channel();
        self.thread.submit(Work::Embed(EmbeddingJob { tokens, reply }));
        let stopped = || Err(RequestError::new(ErrorCode::EngineFailed, STOPPED));
        answer.map(move |answer| answer.unwrap_or_else(|_| stopped())).boxed()
    }

    fn progress(&self) -> Progress {
        self.life.progress()
    }
}
