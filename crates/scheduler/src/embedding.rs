//! Embedding requests. They bypass the queue, which orders generations; their load on the
//! engine is limited here: a maximum of requests, and one text in the engine at a time.

use std::time::Duration;

use hostler_executor::ModelExecutor;
use hostler_protocol::{EmbeddingInput, Embeddings, ErrorCode, Prompt, RequestError, TokenId};
use tokio::sync::{Semaphore, watch};

use crate::state::not_serving;
use crate::text_work::{TextOwner, TextWork};
use crate::{SchedulerSnapshot, SchedulerState};

/// Maximum embedding requests that one scheduler holds. They wait for each other, so more
/// of them would exceed their clients' timeouts.
const REQUESTS_MAX: usize = 8;

/// The retry time when that many are held.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits the embedding requests at one engine.
pub(crate) struct EmbeddingLimiter {
    requests: Semaphore,
    /// Acquired in order for each text, so that a long list and a short one alternate.
    engine: Semaphore,
}

impl Default for EmbeddingLimiter {
    fn default() -> Self {
        Self { requests: Semaphore::new(REQUESTS_MAX), engine: Semaphore::new(1) }
    }
}

impl EmbeddingLimiter {
    /// One vector per input. Refused unless the scheduler is serving, and ended when the
    /// scheduler fails, stops or is claimed, so that it does not disturb the claim.
    pub(crate) async fn embed(
        &self,
        executor: &dyn ModelExecutor,
        texts: &TextWork,
        mut snapshots: watch::Receiver<SchedulerSnapshot>,
        inputs: Vec<EmbeddingInput>,
    ) -> Result<Embeddings, RequestError> {
        let state = snapshots.borrow().state;
        if state != SchedulerState::Serving {
            return Err(not_serving(state));
        }
        let _permit = self.requests.try_acquire().map_err(|_| {
            let message = format!("this scheduler already holds {REQUESTS_MAX} embedding requests, the maximum");
            RequestError::new(ErrorCode::Overloaded, message).with_retry_after(RETRY_AFTER)
        })?;
        // A request that has started is finished while the scheduler drains.
        let may_continue = |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining);
        tokio::select! {
            embeddings = self.embed_all(executor, texts, inputs) => embeddings,
            ended = snapshots.wait_for(|snapshot| !may_continue(snapshot.state)) => {
                Err(not_serving(ended.map_or(SchedulerState::Stopped, |snapshot| snapshot.state)))
            }
        }
    }

    /// Tokenizes and checks all texts before the first one reaches the engine, so that a
    /// request with an invalid text costs the engine nothing.
    async fn embed_all(
        &self,
        executor: &dyn ModelExecutor,
        texts: &TextWork,
        inputs: Vec<EmbeddingInput>,
    ) -> Result<Embeddings, RequestError> {
        let model = executor.description();
        if model.capabilities.embedding_dimensions.is_none() {
            return Err(RequestError::no_embeddings(model.engine));
        }
        let mut tokenized: Vec<Vec<TokenId>> = Vec::with_capacity(inputs.len());
        let mut prompt_tokens = 0_usize;
        for (index, input) in inputs.into_iter().enumerate() {
            let prompt = match input {
                EmbeddingInput::Text(text) => Prompt::Text(text),
                EmbeddingInput::Tokens(tokens) => Prompt::Tokens(tokens),
            };
            let tokens = texts.tokenize(TextOwner::Call, prompt).await?;
            check(index, &tokens, model.context_length, model.vocabulary_size)?;
            prompt_tokens += tokens.len();
            tokenized.push(tokens);
        }
        let mut vectors = Vec::with_capacity(tokenized.len());
        for tokens in tokenized {
            let _turn = self.engine.acquire().await.map_err(|_| not_serving(SchedulerState::Stopped))?;
            vectors.push(executor.embed(tokens).await?);
        }
        Ok(Embeddings { vectors, prompt_tokens: u32::try_from(prompt_tokens).unwrap_or(u32::MAX) })
    }
}

/// Refuses a text that the engine would refuse, naming its index.
fn check(index: usize, tokens: &[TokenId], context_length: u32, vocabulary_size: u32) -> Result<(), RequestError> {
    let length = tokens.len();
    if length > context_length as usize {
        let message = format!("input {index} has {length} tokens; this model's context holds {context_length}");
        return Err(RequestError::context_length_exceeded("input", message));
    }
    let message = if length == 0 {
        format!("input {index} is empty; it must have at least 1 token")
    } else if let Some(id) = tokens.iter().find(|&&id| id >= vocabulary_size) {
        format!("input {index} has token id {id}; the vocabulary has {vocabulary_size} tokens, so ids are below that")
    } else {
        return Ok(());
    };
    Err(RequestError::invalid("input", message))
}
