//! The interface of an engine: executor, codec and factory.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use hostler_protocol::{Constraint, Conversation, ErrorCode, ModelDescription, RequestError, TenantId, TokenId};

use crate::{CompileFuture, EngineProgress, LoadError, Sequence, TextError, TokenSink, TokenStream, token_channel};

/// A loaded model, ready to generate.
///
/// Dropping it stops the engine and frees the model; running sequences end with
/// [`hostler_protocol::ErrorCode::EngineFailed`].
pub trait ModelExecutor: Send + Sync + 'static {
    /// The model's properties, and how the engine must be driven.
    fn description(&self) -> &ModelDescription;

    /// The tokenizer and the chat template.
    fn text(&self) -> &dyn TextCodec;

    /// Submits a sequence to the engine and returns at once.
    ///
    /// All results go to `sink`, including the rejection of an invalid sequence: an empty
    /// prompt, a token outside the vocabulary, or more tokens than the context holds. The
    /// engine calls [`TokenSink::stop_requested`] at least once per decode step and ends the
    /// sequence if it must stop. Callers have at most
    /// `description().driving.max_sequences` sequences in flight; further ones wait inside
    /// the engine, or fail with `Overloaded`.
    fn start(&self, sequence: Sequence, sink: TokenSink);

    /// Compiles a tenant's constraint to its state after the tokens `answered`. The compilation
    /// runs on a thread of the executor, because clients determine its cost; tenants take turns. Its memory and CPU
    /// time are limited, but not its time in the queue: a caller stops waiting by dropping
    /// the future.
    ///
    /// # Errors
    /// `InvalidRequest`, with the name of the field: the constraint is invalid, excludes
    /// `answered`, or exceeds a limit, or the engine does not support constraints.
    /// `Overloaded`: too many constraints are waiting to be compiled.
    fn compile(&self, _tenant: &TenantId, constraint: Constraint, _answered: Vec<TokenId>) -> CompileFuture {
        let message = format!("the engine {} does not support constrained answers", self.description().engine.as_str());
        ready(Err(RequestError::invalid(constraint.param(), message))).boxed()
    }

    /// The engine's progress, from which a watchdog can tell a slow engine from a hung or
    /// dead one.
    fn progress(&self) -> EngineProgress;

    /// Computes the embedding of a text, a vector of length 1. Running sequences keep their
    /// KV cache and wait for at most one bounded chunk of the text. Dropping the future
    /// cancels the computation, at the latest after the current chunk.
    ///
    /// # Errors
    /// `InvalidRequest` for an empty text, a token outside the vocabulary, more tokens than
    /// the context holds, or an engine without
    /// [`embedding_dimensions`](hostler_protocol::Capabilities::embedding_dimensions);
    /// `EngineFailed`.
    fn embed(&self, _tokens: Vec<TokenId>) -> EmbeddingFuture {
        let engine = self.description().engine.as_str();
        let message = format!("the engine {engine} does not support embeddings");
        ready(Err(RequestError::new(ErrorCode::InvalidRequest, message))).boxed()
    }

    /// Calls [`ModelExecutor::start`] with a new channel. Dropping the stream cancels the
    /// sequence.
    fn generate(&self, sequence: Sequence) -> TokenStream {
        let (sink, stream) = token_channel(&sequence, None);
        self.start(sequence, sink);
        stream
    }
}

/// The result of [`ModelExecutor::embed`].
pub type EmbeddingFuture = BoxFuture<'static, Result<Vec<f32>, RequestError>>;

/// A model's tokenizer and chat template. It can be called from any thread and never waits
/// for the engine.
pub trait TextCodec: Send + Sync {
    /// Encodes a text. `add_special` adds the special tokens that the model expects, such as
    /// a beginning-of-sequence token. Special tokens in the text are recognised.
    ///
    /// # Errors
    /// [`TextError::Tokenize`].
    fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError>;

    /// Decodes tokens. Special tokens are omitted; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError>;

    /// The bytes of a token in the vocabulary, including special tokens. Log probabilities
    /// are labelled with them.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn piece(&self, token: TokenId) -> Result<Vec<u8>, TextError>;

    /// Renders a conversation with the model's chat template, up to the start of the
    /// assistant's answer. Encode the result with `add_special = false`.
    ///
    /// # Errors
    /// [`TextError::NoChatTemplate`], or [`TextError::Template`].
    fn render_chat(&self, chat: &Conversation) -> Result<String, TextError>;
}

/// Loads a model. The scheduler keeps the factory, so that it can replace a failed
/// engine by a fresh one.
pub trait ExecutorFactory: Send + Sync + 'static {
    /// Loads the model. Blocks for seconds or minutes: call it on a blocking thread.
    ///
    /// # Errors
    /// [`LoadError`], also when the engine panics.
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError>;
}

/// Receives the stages of loading.
pub trait LoadProgress: Send + Sync {
    /// A stage has begun.
    fn stage(&self, stage: LoadStage);
}

/// A stage of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStage {
    /// Reading weights into memory.
    Weights,
    /// Running first steps, so that the first request is not slower than the others.
    WarmUp,
}

/// Ignores the progress.
impl LoadProgress for () {
    fn stage(&self, _stage: LoadStage) {}
}
