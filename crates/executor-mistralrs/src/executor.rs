//! A loaded model as the rest of Hostler sees it.

use std::sync::Arc;

use hostler_executor::{CompileFuture, ModelExecutor, Progress, Sequence, TextCodec, TokenSink};
use hostler_executor_kit::Reception;
use hostler_protocol::{Constraint, ErrorCode, ModelDescription, RequestError, TokenId};

use crate::codec::MistralrsCodec;
use crate::dispatcher::{Dispatcher, Job};
use crate::life::Life;

/// A model on mistral.rs.
pub(crate) struct MistralrsExecutor {
    pub(crate) description: ModelDescription,
    pub(crate) codec: MistralrsCodec,
    pub(crate) reception: Reception,
    pub(crate) life: Arc<Life>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) on_cpu: bool,
}

impl MistralrsExecutor {
    /// How many tokens of the answer so far the engine takes step by step instead of
    /// reading them with the prompt.
    ///
    /// The two compute a little differently: an answer that must go on exactly as it
    /// would have elsewhere must come about as it did there. On a CPU that takes twice
    /// as long, and is worth it; on a GPU it takes far longer, and would not be exact
    /// either, because what runs beside a sequence changes its rounding.
    fn replayed(&self, sequence: &Sequence) -> usize {
        let is_determined = sequence.sampling.is_greedy() || sequence.sampling.seed.is_some();
        // The engine would end at such a token, which nothing here would have chosen.
        let ends_early = || sequence.answer().iter().any(|token| self.reception.end_tokens.contains(token));
        if self.on_cpu && is_determined && !ends_early() { sequence.answered } else { 0 }
    }
}

impl ModelExecutor for MistralrsExecutor {
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
        if !self.life.is_alive() {
            return sink
                .fail(RequestError::new(ErrorCode::EngineFailed, "the engine has failed; it must be loaded anew"));
        }
        let Some(generation) = self.reception.admit(&sequence, sink, self.codec.incremental()) else { return };
        let (tokens, replay) = sequence.tokens.split_at(sequence.tokens.len() - self.replayed(&sequence));
        self.dispatcher.submit(Job {
            tokens: tokens.to_vec(),
            replay: replay.to_vec(),
            max_new_tokens: sequence.max_new_tokens,
            generation,
        });
    }

    fn progress(&self) -> Progress {
        self.life.progress()
    }
}
