//! Turns a request into a sequence before the actor receives it: checks the parameters,
//! tokenizes the prompt and compiles the constraint.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hostler_executor::{CompiledConstraint, ModelExecutor, Sequence};
use hostler_protocol::{Constraint, GenerationRequest, ModelDescription, Prompt, RequestError, TenantId, TokenId};
use tokio::time::timeout;

use crate::capability::{Abilities, Needs, Shortfall};
use crate::state::{Demand, Ticket};
use crate::text_work::{TextOwner, TextWork};

/// A constraint must be compiled within this time, queue included. Typical schemas take
/// some milliseconds of processor time, and the executor's limits allow half a second.
const COMPILE_WAIT_MAX: Duration = Duration::from_secs(1);

/// A request that is ready for the actor.
pub(crate) struct PreparedRequest {
    /// Length of the prompt, without a continuation.
    pub(crate) prompt_tokens: u32,
    /// What scheduling needs to know about it.
    pub(crate) demand: Demand,
    /// What the engine needs to know about it.
    pub(crate) sequence: Sequence,
}

/// Checks, tokenizes and compiles a request, and gives it the next of the `tickets`.
///
/// # Errors
/// `InvalidRequest`, naming the field, or `Internal` if the tokenizer panicked.
pub(crate) async fn prepare(
    executor: &dyn ModelExecutor,
    texts: &TextWork,
    mut request: GenerationRequest,
    tickets: &AtomicU64,
) -> Result<PreparedRequest, RequestError> {
    let model = executor.description();
    check(&request, model)?;
    let prompt = std::mem::replace(&mut request.prompt, Prompt::Tokens(Vec::new()));
    let prompt = texts.tokenize(TextOwner::Generation(request.tenant.clone()), prompt).await?;
    let constraint = match request.constraint.take() {
        Some(constraint) => Some(compile(executor, &request.tenant, constraint, &request.continuation).await?),
        None => None,
    };
    let prompt_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
    let ticket = Ticket(tickets.fetch_add(1, Ordering::Relaxed));
    let (demand, sequence) = split(request, prompt, constraint, model, ticket)?;
    Ok(PreparedRequest { prompt_tokens, demand, sequence })
}

/// Checks everything that does not depend on the prompt's tokens.
fn check(request: &GenerationRequest, model: &ModelDescription) -> Result<(), RequestError> {
    request.sampling.validate()?;
    request.stop.validate()?;
    let shortfall = Abilities::of(model).shortfall(&Needs::of_generation(request));
    if let Some(error) = shortfall.and_then(Shortfall::error) {
        return Err(error);
    }
    let vocabulary = model.vocabulary_size;
    let prompt: &[TokenId] = if let Prompt::Tokens(tokens) = &request.prompt { tokens } else { &[] };
    in_vocabulary("prompt", prompt.iter().copied(), vocabulary)?;
    in_vocabulary("continuation", request.continuation.iter().copied(), vocabulary)?;
    in_vocabulary("stop_token_ids", request.stop.token_ids.iter().copied(), vocabulary)?;
    in_vocabulary("logit_bias", request.sampling.logit_bias.iter().map(|&(token, _)| token), vocabulary)
}

fn in_vocabulary(
    param: &'static str,
    mut tokens: impl Iterator<Item = TokenId>,
    vocabulary_size: u32,
) -> Result<(), RequestError> {
    match tokens.find(|&token| token >= vocabulary_size) {
        None => Ok(()),
        Some(token) => Err(RequestError::invalid(
            param,
            format!("{param} has token id {token}; the vocabulary has {vocabulary_size} tokens, so ids are below that"),
        )),
    }
}

/// Compiles a request's constraint before the request is queued: compiling then occupies
/// no slot, and takes a limited time.
///
/// # Errors
/// As [`ModelExecutor::compile`], and `InvalidRequest` after [`COMPILE_WAIT_MAX`].
async fn compile(
    executor: &dyn ModelExecutor,
    tenant: &TenantId,
    constraint: Constraint,
    answered: &[TokenId],
) -> Result<CompiledConstraint, RequestError> {
    let param = constraint.param();
    let compiled = timeout(COMPILE_WAIT_MAX, executor.compile(tenant, constraint, answered.to_vec())).await;
    compiled.unwrap_or_else(|_| {
        let seconds = COMPILE_WAIT_MAX.as_secs();
        Err(RequestError::invalid(param, format!("{param} was not compiled within {seconds} s; use a simpler one")))
    })
}

/// Splits a request into what scheduling and what the engine need to know about it.
/// `prompt` are the prompt's tokens, `constraint` is the request's.
///
/// # Errors
/// `InvalidRequest` if the continuation leaves nothing to generate.
fn split(
    request: GenerationRequest,
    prompt: Vec<TokenId>,
    constraint: Option<CompiledConstraint>,
    model: &ModelDescription,
    ticket: Ticket,
) -> Result<(Demand, Sequence), RequestError> {
    let answered = request.continuation.len();
    let mut tokens = prompt;
    tokens.extend_from_slice(&request.continuation);
    let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    let max_new_tokens = match request.stop.max_tokens {
        Some(max) => max.saturating_sub(u32::try_from(answered).unwrap_or(u32::MAX)),
        None => Abilities::of(model).sequence_tokens_max().saturating_sub(length).max(1),
    };
    if max_new_tokens == 0 {
        return Err(RequestError::invalid("continuation", "the continuation already has max_tokens tokens"));
    }
    let mut hasher = DefaultHasher::new();
    (&request.tenant, &tokens, max_new_tokens).hash(&mut hasher);
    let demand = Demand {
        ticket,
        id: request.id,
        tenant: request.tenant,
        class: request.priority,
        prompt_tokens: length,
        answer_tokens_max: max_new_tokens,
        deadline: request.deadline.map(|deadline| deadline.instant()),
        fingerprint: hasher.finish(),
        claim: request.claim,
    };
    let sequence = Sequence {
        id: request.id,
        tokens: tokens.into(),
        answered,
        max_new_tokens,
        sampling: request.sampling,
        stop: request.stop,
        constraint,
        top_logprobs: request.top_logprobs,
        cache_scope: request.cache_scope,
    };
    Ok((demand, sequence))
}
