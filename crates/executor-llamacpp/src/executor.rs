//! The `ModelExecutor` of llama.cpp.

use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::ready;
use hostler_executor::{
    CompileFuture, EmbeddingFuture, EngineProgress, EngineStatus, ModelExecutor, Sequence, TextCodec, TokenSink,
};
use hostler_executor_kit::GenerationBuilder;
use hostler_protocol::{Constraint, ErrorCode, ModelDescription, RequestError, TenantId, TokenId};

use crate::codec::LlamaCodec;
use crate::embedding::EmbeddingJob;
use crate::engine::Job;
use crate::thread::{EngineThread, STOPPED, Work};

/// A model on llama.cpp.
pub(crate) struct LlamacppExecutor {
    pub(crate) description: ModelDescription,
    pub(crate) codec: LlamaCodec,
    pub(crate) builder: GenerationBuilder,
    pub(crate) status: Arc<EngineStatus>,
    pub(crate) thread: EngineThread,
}

impl ModelExecutor for LlamacppExecutor {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn text(&self) -> &dyn TextCodec {
        &self.codec
    }

    fn compile(&self, tenant: &TenantId, constraint: Constraint, answered: Vec<TokenId>) -> CompileFuture {
        self.builder.constraints.compile(tenant, constraint, answered)
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        if let Some(generation) = self.builder.build(&sequence, sink, self.codec.incremental()) {
            self.thread.submit(Work::Generate(Box::new(Job { sequence, generation })));
        }
    }

    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        if self.description.capabilities.embedding_dimensions.is_none() {
            let message = "this model is a reranker and does not support embeddings";
            return ready(Err(RequestError::new(ErrorCode::InvalidRequest, message))).boxed();
        }
        if let Err(error) = self.builder.limits.check_text(&tokens) {
            return ready(Err(error)).boxed();
        }
        let (reply, answer) = oneshot::channel();
        self.thread.submit(Work::Embed(EmbeddingJob { tokens, reply }));
        let stopped = || Err(RequestError::new(ErrorCode::EngineFailed, STOPPED));
        answer.map(move |answer| answer.unwrap_or_else(|_| stopped())).boxed()
    }

    fn progress(&self) -> EngineProgress {
        self.status.progress()
    }
}
