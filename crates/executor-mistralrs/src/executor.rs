//! The `ModelExecutor` of mistral.rs.

use std::sync::Arc;

use hostler_executor::{CompileFuture, EngineProgress, EngineStatus, ModelExecutor, Sequence, TextCodec, TokenSink};
use hostler_executor_kit::GenerationBuilder;
use hostler_protocol::{Constraint, ErrorCode, ModelDescription, RequestError, TenantId, TokenId};

use crate::codec::MistralrsCodec;
use crate::dispatcher::{Dispatcher, Job};

/// A model on mistral.rs.
pub(crate) struct MistralrsExecutor {
    pub(crate) description: ModelDescription,
    pub(crate) codec: MistralrsCodec,
    pub(crate) builder: GenerationBuilder,
    pub(crate) status: Arc<EngineStatus>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) on_cpu: bool,
}

impl MistralrsExecutor {
    /// The number of tokens of a continued answer that the engine decodes step by step
    /// instead of processing them with the prompt.
    ///
    /// Decode and prefill round differently, so a continuation is only exact if its tokens
    /// are computed like those of the whole answer. On a CPU, this takes twice as long,
    /// which is acceptable; on a GPU, it takes much longer and would not be exact either,
    /// because the other sequences of a batch change the rounding.
    fn replayed(&self, sequence: &Sequence) -> usize {
        let is_deterministic = sequence.sampling.is_greedy() || sequence.sampling.seed.is_some();
        // The engine would end the sequence at such a token.
        let ends_early = || sequence.answer().iter().any(|token| self.builder.end_tokens.contains(token));
        if self.on_cpu && is_deterministic && !ends_early() { sequence.answered } else { 0 }
    }
}

impl ModelExecutor for MistralrsExecutor {
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
        if !self.status.is_alive() {
            let message = "the engine has failed and must be reloaded";
            return sink.fail(RequestError::new(ErrorCode::EngineFailed, message));
        }
        let Some(generation) = self.builder.build(&sequence, sink, self.codec.incremental()) else { return };
        let (tokens, replay) = sequence.tokens.split_at(sequence.tokens.len() - self.replayed(&sequence));
        self.dispatcher.submit(Job {
            tokens: tokens.to_vec(),
            replay: replay.to_vec(),
            max_new_tokens: sequence.max_new_tokens,
            generation,
        });
    }

    fn progress(&self) -> EngineProgress {
        self.status.progress()
    }
}
