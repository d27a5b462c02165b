//! What an engine must do.

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use hostler_protocol::{ChatMessage, Constraint, ErrorCode, ModelDescription, RequestError, TokenId};

use crate::{CompileFuture, Sequence, TextError, TokenSink, TokenStream, token_channel};

/// A loaded model, ready to generate.
///
/// Dropping it stops the engine and frees the model; sequences that still run
/// end with [`hostler_protocol::ErrorCode::EngineFailed`].
pub trait ModelExecutor: Send + Sync + 'static {
    /// What it is, and how it may be driven.
    fn description(&self) -> &ModelDescription;

    /// Its tokenizer and chat template.
    fn text(&self) -> &dyn TextCodec;

    /// Hands a sequence to the engine and returns at once.
    ///
    /// Everything that happens to it goes to `sink`, refusals included: an empty
    /// prompt, a token outside the vocabulary, a prompt that with `max_tokens`
    /// exceeds the context. The engine asks [`TokenSink::stop_requested`] at
    /// least once a decode step and then ends the sequence. A caller keeps at
    /// most `description().driving.max_sequences` sequences in flight; what is
    /// beyond that waits inside the engine, or fails with `Overloaded`.
    fn start(&self, sequence: Sequence, sink: TokenSink);

    /// Compiles a constraint to its state after `answered`, the part of the answer that
    /// is there already. The work is done on a thread of the executor's own, since a
    /// client decides how much it is. It is limited in memory and processor time, but
    /// not in waiting time: a caller stops waiting by dropping the future.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field: the constraint cannot be read, does not admit
    /// `answered`, exceeds a limit, or this engine keeps to no constraints.
    /// `Overloaded`: too many wait to be compiled.
    fn compile(&self, constraint: Constraint, _answered: Vec<TokenId>) -> CompileFuture {
        let message =
            format!("the engine {} cannot constrain the form of an answer", self.description().engine.as_str());
        ready(Err(RequestError::invalid(constraint.param(), message))).boxed()
    }

    /// How far the engine has come: what a watchdog needs to tell a slow engine
    /// from a hung or dead one.
    fn progress(&self) -> Progress;

    /// The vector that stands for a text, of length 1. Running sequences keep their
    /// keys and values, and wait for a bounded piece of the text at most. Dropping
    /// the future gives it up, at the latest after such a piece.
    ///
    /// # Errors
    /// `InvalidRequest`, for an empty text, a token outside the vocabulary, more
    /// tokens than the context holds, or an engine without
    /// [`embedding_dimensions`](hostler_protocol::Capabilities::embedding_dimensions);
    /// `EngineFailed`.
    fn embed(&self, _tokens: Vec<TokenId>) -> EmbeddingFuture {
        let engine = self.description().engine.as_str();
        let message = format!("the engine {engine} makes no embeddings");
        ready(Err(RequestError::new(ErrorCode::InvalidRequest, message))).boxed()
    }

    /// [`ModelExecutor::start`] with a stream of its own: dropping the stream
    /// cancels the sequence.
    fn generate(&self, sequence: Sequence) -> TokenStream {
        let (sink, stream) = token_channel(&sequence, None);
        self.start(sequence, sink);
        stream
    }
}

/// What [`ModelExecutor::embed`] answers.
pub type EmbeddingFuture = BoxFuture<'static, Result<Vec<f32>, RequestError>>;

/// What an engine says of its own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether the engine can still run anything. Once false, it stays false.
    pub alive: bool,
    /// Steps done since it was loaded, prefill chunks and decode steps alike.
    pub steps: u64,
}

/// A model's tokenizer and chat template. Cheap to call from any thread, and
/// never waits for the engine.
pub trait TextCodec: Send + Sync {
    /// Text to tokens. `add_special` adds what the model expects around a text
    /// (a beginning-of-sequence token, say); special tokens written out in the
    /// text are recognised.
    ///
    /// # Errors
    /// [`TextError::Tokenize`].
    fn encode(&self, text: &str, add_special: bool) -> Result<Vec<TokenId>, TextError>;

    /// Tokens to text. Special tokens are left out; bytes that are not UTF-8
    /// become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError>;

    /// One token as it stands in the vocabulary, as bytes, special tokens too:
    /// what log probabilities are labelled with.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    fn piece(&self, token: TokenId) -> Result<Vec<u8>, TextError>;

    /// Lays a conversation out as the model was trained to read it, up to where
    /// the assistant speaks. Encode the result with `add_special = false`.
    ///
    /// # Errors
    /// [`TextError::NoChatTemplate`], or [`TextError::Template`].
    fn render_chat(&self, messages: &[ChatMessage]) -> Result<String, TextError>;
}
