//! The handle through which other crates use a scheduler.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Stream;
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    ClaimRequest, Conversation, EmbeddingRequest, Embeddings, ErrorCode, FencingToken, GenerationRequest, RequestError,
    RequestId, SchedulerId, TenantId, TokenEvent, TokenId,
};
use tokio::sync::watch;

use crate::SchedulerSnapshot;

/// A scheduler, local or remote. Handles are shared as `Arc<dyn Scheduler>`.
#[async_trait]
pub trait Scheduler: Send + Sync + 'static {
    /// Its name, unique in the cluster.
    fn id(&self) -> &SchedulerId;

    /// Its state and load; every change is sent. `handle.snapshot().borrow()` reads the
    /// latest value without waiting.
    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot>;

    /// Submits a request and returns once the scheduler has admitted it to its queue or
    /// refused it. Dropping the returned generation cancels the request, whether it is
    /// queued or running.
    ///
    /// # Errors
    /// `InvalidRequest` (an invalid parameter, or a length that can never fit),
    /// `Overloaded` (with `retry_after` and `estimated_wait`), `Unavailable` (starting,
    /// draining, claimed, failed), `DeadlineExceeded`.
    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError>;

    /// Tokenizes a text or a conversation of a tenant with this scheduler's model.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn tokenize(&self, tenant: &TenantId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError>;

    /// Decodes tokens to text with this scheduler's model.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError>;

    /// The bytes of each token in the vocabulary, special tokens included.
    ///
    /// # Errors
    /// `InvalidRequest`, or `Unavailable` while no model is loaded.
    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError>;

    /// Embeds texts with this scheduler's model, in the order of the texts. Dropping the
    /// future cancels it. It bypasses the queue and carries no claim, so a claimed
    /// scheduler refuses it. Tenants take turns, text by text.
    ///
    /// # Errors
    /// `InvalidRequest` (a text that is empty or too long; an engine that does not support
    /// embeddings), `Overloaded`, `Unavailable` (not serving), `EngineFailed`.
    async fn embed(&self, _request: EmbeddingRequest) -> Result<Embeddings, RequestError> {
        Err(RequestError::new(ErrorCode::InvalidRequest, "this scheduler does not support embeddings"))
    }

    /// Cancels a queued or running request. False if there is none.
    async fn cancel(&self, id: RequestId) -> bool;

    /// Stops admitting requests, and returns when the last one has ended.
    async fn drain(&self);

    /// Admits requests again after a drain.
    async fn resume(&self);

    /// Claims the scheduler. The claim is granted at once, and no new requests are
    /// admitted. When the requests that the scheduler already has have ended, it is
    /// [`SchedulerState::Claimed`] and admits requests that carry the token. The claim
    /// needs heartbeats from its grant on, and the snapshots show it from then on.
    ///
    /// [`SchedulerState::Claimed`]: crate::SchedulerState::Claimed
    ///
    /// # Errors
    /// `Unavailable` unless the scheduler is serving; the message names its state.
    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError>;

    /// Renews a claim for another `ttl`. False if the claim has ended.
    ///
    /// # Errors
    /// `Unavailable` if the scheduler cannot be reached; the claim may still be held.
    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError>;

    /// Releases a claim. False if the claim has ended. When this returns, the snapshots no
    /// longer show the claim.
    ///
    /// # Errors
    /// As [`heartbeat`](Self::heartbeat).
    async fn release(&self, token: FencingToken) -> Result<bool, RequestError>;

    /// The engine, for benchmarks that measure it alone; `None` while none is loaded and
    /// for remote schedulers.
    fn executor(&self) -> Option<Arc<dyn ModelExecutor>>;

    /// Whether it runs in another process.
    fn is_remote(&self) -> bool {
        false
    }
}

/// An admitted request.
pub struct Generation {
    /// The scheduler that admitted it.
    pub scheduler: SchedulerId,
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
    /// Its output; see [`TokenEvent`] for the order. Dropping it cancels the request.
    pub events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
}

/// The input of [`Scheduler::tokenize`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizeInput {
    /// A text.
    Text {
        /// The text.
        text: String,
        /// Whether to add the model's special tokens, such as beginning-of-sequence.
        add_special: bool,
    },
    /// A conversation, rendered with the model's chat template.
    Chat(Conversation),
}
