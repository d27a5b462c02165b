//! A loaded model as the rest of Hostler sees it.

use std::sync::Arc;

use hostler_executor::{ModelExecutor, Progress, Sequence, TextCodec, TokenSink};
use hostler_executor_kit::Reception;
use hostler_protocol::{ErrorCode, ModelDescription, RequestError};

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
}

impl ModelExecutor for MistralrsExecutor {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn text(&self) -> &dyn TextCodec {
        &self.codec
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        if !self.life.is_alive() {
            return sink
                .fail(RequestError::new(ErrorCode::EngineFailed, "the engine has failed; it must be loaded anew"));
        }
        let Some(generation) = self.reception.admit(&sequence, sink, self.codec.incremental()) else { return };
        let Sequence { tokens, max_new_tokens, .. } = sequence;
        self.dispatcher.submit(Job { tokens, max_new_tokens, generation });
    }

    fn progress(&self) -> Progress {
        self.life.progress()
    }
}
