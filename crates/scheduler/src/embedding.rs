//! Embedding requests. They bypass the queue, which orders generations; their load on the
//! engine is limited here: a maximum of requests, shared between tenants, and one text in the
//! engine at a time, for which tenants take turns.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_executor::ModelExecutor;
use hostler_protocol::{
    EmbeddingInput, EmbeddingRequest, Embeddings, ErrorCode, Prompt, RequestError, TenantId, TokenId,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::messages::ChargeTenant;
use crate::state::not_serving;
use crate::text_work::{TextOwner, TextWork};
use crate::turns::Turns;
use crate::{SchedulerSnapshot, SchedulerState};

/// Maximum embedding requests that one scheduler holds. They wait for each other, so more
/// of them would exceed their clients' timeouts.
const REQUESTS_MAX: u32 = 16;

/// The retry time when that many are held.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits the embedding requests at one engine.
pub(crate) struct EmbeddingLimiter {
    requests: Semaphore,
    /// How many requests each tenant holds.
    held: Mutex<BTreeMap<TenantId, u32>>,
    /// Taken for each text, so that a long list and a short one alternate.
    engine: Turns,
}

/// A request's place, until it is dropped.
struct Place<'a> {
    limiter: &'a EmbeddingLimiter,
    tenant: TenantId,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.limiter.held.lock();
        if let Some(own) = held.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

impl Default for EmbeddingLimiter {
    fn default() -> Self {
        let requests = Semaphore::new(REQUESTS_MAX as usize);
        Self { requests, held: Mutex::default(), engine: Turns::default() }
    }
}

impl EmbeddingLimiter {
    /// One vector per input. Refused unless the scheduler is serving, and ended when the
    /// scheduler fails, stops or is claimed, so that it does not disturb the claim. The tenant is
    /// charged for each text, so that its generations wait accordingly.
    pub(crate) async fn embed(
        &self,
        executor: &dyn ModelExecutor,
        texts: &TextWork,
        mut snapshots: watch::Receiver<SchedulerSnapshot>,
        request: EmbeddingRequest,
        charge: impl Fn(ChargeTenant) + Sync,
    ) -> Result<Embeddings, RequestError> {
        let state = snapshots.borrow().state;
        if state != SchedulerState::Serving {
            return Err(not_serving(state));
        }
        let _place = self.place(&request.tenant)?;
        // A request that has started is finished while the scheduler drains.
        let may_continue = |state| matches!(state, SchedulerState::Serving | SchedulerState::Draining);
        tokio::select! {
            embeddings = self.embed_all(executor, texts, request, &charge) => embeddings,
            ended = snapshots.wait_for(|snapshot| !may_continue(snapshot.state)) => {
                Err(not_serving(ended.map_or(SchedulerState::Stopped, |snapshot| snapshot.state)))
            }
        }
    }

    /// Returns when no request is held.
    pub(crate) async fn emptied(&self) {
        // An error would mean that the semaphore is closed, which never happens.
        let _ = self.requests.acquire_many(REQUESTS_MAX).await;
    }

    /// A tenant gets a place while it holds fewer than are free, so one alone can hold half of
    /// them, and there is always one for a tenant that holds none.
    fn place(&self, tenant: &TenantId) -> Result<Place<'_>, RequestError> {
        let full = |message| RequestError::new(ErrorCode::Overloaded, message).with_retry_after(RETRY_AFTER);
        let mut held = self.held.lock();
        let own = held.get(tenant).copied().unwrap_or(0);
        if own as usize >= self.requests.available_permits() && own > 0 {
            return Err(full(format!("this scheduler already holds {own} embedding requests of yours, your share")));
        }
        let permit = self.requests.try_acquire().map_err(|_| {
            full(format!("this scheduler already holds {REQUESTS_MAX} embedding requests, the maximum"))
        })?;
        held.insert(tenant.clone(), own + 1);
        Ok(Place { limiter: self, tenant: tenant.clone(), _permit: permit })
    }

    /// Tokenizes and checks all texts before the first one reaches the engine, so that a
    /// request with an invalid text costs the engine nothing.
    async fn embed_all(
        &self,
        executor: &dyn ModelExecutor,
        texts: &TextWork,
        EmbeddingRequest { tenant, inputs }: EmbeddingRequest,
        charge: &(impl Fn(ChargeTenant) + Sync),
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
            let tokens = texts.tokenize(TextOwner::Tenant(tenant.clone()), prompt).await?;
            check(index, &tokens, model.context_length, model.vocabulary_size)?;
            prompt_tokens += tokens.len();
            tokenized.push(tokens);
        }
        let mut vectors = Vec::with_capacity(tokenized.len());
        for tokens in tokenized {
            let _turn = self.engine.next(&tenant).await;
            let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
            vectors.push(executor.embed(tokens).await?);
            charge(ChargeTenant { tenant: tenant.clone(), tokens: length });
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
