//! The one way in which others speak to a scheduler.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Stream;
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    ChatMessage, ClaimRequest, EmbeddingInput, Embeddings, ErrorCode, FencingToken, GenerationRequest, RequestError,
    RequestId, SchedulerId, TokenEvent, TokenId,
};
use tokio::sync::watch;

use crate::SchedulerSnapshot;

/// A scheduler, wherever it runs. Handles are shared as `Arc<dyn Scheduler>`.
#[async_trait]
pub trait Scheduler: Send + Sync + 'static {
    /// Its name, unique in the cluster.
    fn id(&self) -> &SchedulerId;

    /// Its state and load; every change is sent. The latest value is read
    /// without waiting: `handle.snapshot().borrow()`.
    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot>;

    /// Submits a request, and returns once the scheduler has admitted it to its
    /// queue or refused it. Dropping the returned generation cancels the request,
    /// in whichever state it is.
    ///
    /// # Errors
    /// `InvalidRequest` (a parameter, or a length that can never fit),
    /// `Overloaded` (with `retry_after` and `estimated_wait`), `Unavailable`
    /// (starting, draining, claimed, failed), `DeadlineExceeded`.
    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError>;

    /// Text or a conversation to tokens, by this scheduler's model.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn tokenize(&self, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError>;

    /// Tokens to text, by this scheduler's model.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError>;

    /// Tokens as they stand in the vocabulary, special tokens too, as bytes.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError>;

    /// Vectors that stand for texts, by this scheduler's model, in the texts' order.
    /// Dropping the future gives them up. It waits in no queue and carries no claim:
    /// a scheduler that is claimed makes none.
    ///
    /// # Errors
    /// `InvalidRequest` (a text that is empty or too long; an engine that makes no
    /// embeddings), `Overloaded`, `Unavailable` (it does not serve), `EngineFailed`.
    async fn embed(&self, _inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        Err(RequestError::new(ErrorCode::InvalidRequest, "this scheduler does not support embeddings"))
    }

    /// Cancels a request that waits or runs. Whether there was one.
    async fn cancel(&self, id: RequestId) -> bool;

    /// Refuses new requests, and returns when the last one has ended.
    async fn drain(&self);

    /// Takes requests again after a drain.
    async fn resume(&self);

    /// Asks for the scheduler itself. The claim is granted at once, and the
    /// scheduler takes nothing new; it is [`SchedulerState::Claimed`], and takes
    /// the requests that carry the token, once it has none of others. Until then
    /// the claim needs heartbeats too. The snapshots show it when it is granted.
    ///
    /// [`SchedulerState::Claimed`]: crate::SchedulerState::Claimed
    ///
    /// # Errors
    /// `Unavailable`, if it does not serve: it says what it does instead.
    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError>;

    /// The holder lives: the claim lasts for another `ttl`. Whether it is still theirs.
    ///
    /// # Errors
    /// `Unavailable`, if the scheduler cannot be reached, so that nobody knows.
    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError>;

    /// The holder gives it back. Whether the claim was still theirs. The snapshots show
    /// it no more when this answers.
    ///
    /// # Errors
    /// As [`heartbeat`](Self::heartbeat).
    async fn release(&self, token: FencingToken) -> Result<bool, RequestError>;

    /// The engine itself, for a benchmark that measures it alone; `None` while none
    /// is loaded, or where it is in another process.
    fn executor(&self) -> Option<Arc<dyn ModelExecutor>>;

    /// Whether it is in another process, at the other end of a connection.
    fn is_remote(&self) -> bool {
        false
    }
}

/// A request that a scheduler has admitted.
pub struct Generation {
    /// Which scheduler has it.
    pub scheduler: SchedulerId,
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
    /// What it produces; see [`TokenEvent`] for the order. Dropping it cancels
    /// the request.
    pub events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
}

/// What to tokenize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizeInput {
    /// A text; `add_special` adds what the model expects around one.
    Text {
        /// The text.
        text: String,
        /// Whether to add a beginning-of-sequence token and the like.
        add_special: bool,
    },
    /// A conversation, laid out by the model's chat template.
    Chat(Vec<ChatMessage>),
}
