//! From a request to a sequence: what is checked, and turned into tokens, before
//! the scheduler hears of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hostler_executor::{CompiledConstraint, ModelExecutor, Sequence};
use hostler_protocol::{Constraint, ErrorCode, GenerationRequest, ModelDescription, Prompt, RequestError, TokenId};
use tokio::time::timeout;

use crate::state::{Demand, Ticket};

/// From this length on a text is tokenized on a thread that may block. Below, it
/// takes less than about a millisecond.
const LONG_TEXT_BYTES: usize = 8 * 1024;

/// A constraint must be compiled within this time, queue included. Typical schemas take
/// some milliseconds of processor time, and the executor's limits allow half a second.
const COMPILE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Checks everything that can be checked without the model's tokens.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(crate) fn check(request: &GenerationRequest, model: &ModelDescription) -> Result<(), RequestError> {
    request.sampling.validate()?;
    request.stop.validate()?;
    let can = &model.capabilities;
    if let Some(constraint) = request.constraint.as_ref().filter(|_| !can.constraints) {
        return Err(RequestError::invalid(constraint.param(), "this engine cannot constrain the form of an answer"));
    }
    if let Some(wanted) = request.top_logprobs {
        match can.top_logprobs_max {
            None => return Err(RequestError::invalid("logprobs", "this engine reports no log probabilities")),
            Some(max) if wanted > max => {
                let message = format!("top_logprobs is {wanted}; this engine reports at most {max}");
                return Err(RequestError::invalid("top_logprobs", message));
            }
            Some(_) => {}
        }
    }
    if matches!(request.prompt, Prompt::Chat(_)) && !can.chat {
        return Err(RequestError::invalid("messages", "this model has no chat template; use a completion instead"));
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

/// Turns a prompt into tokens. A long one is tokenized elsewhere, so that nobody
/// waits behind it.
///
/// # Errors
/// `InvalidRequest`, or `Internal` if the tokenizer panicked.
pub(crate) async fn tokenize(executor: &Arc<dyn ModelExecutor>, prompt: Prompt) -> Result<Vec<TokenId>, RequestError> {
    let bytes = match &prompt {
        Prompt::Tokens(_) => 0,
        Prompt::Text(text) => text.len(),
        Prompt::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
    };
    if bytes < LONG_TEXT_BYTES {
        return encode(executor.as_ref(), prompt);
    }
    let executor = Arc::clone(executor);
    let task = tokio::task::spawn_blocking(move || encode(executor.as_ref(), prompt));
    task.await.unwrap_or_else(|_| Err(RequestError::new(ErrorCode::Internal, "the tokenizer failed on this text")))
}

fn encode(executor: &dyn ModelExecutor, prompt: Prompt) -> Result<Vec<TokenId>, RequestError> {
    let text = executor.text();
    match prompt {
        Prompt::Tokens(tokens) => Ok(tokens),
        Prompt::Text(prompt) => Ok(text.encode(&prompt, true)?),
        Prompt::Chat(messages) => Ok(text.encode(&text.render_chat(&messages)?, false)?),
    }
}

/// Compiles a request's constraint before the scheduler hears of the request: it then
/// occupies no slot, and its answer comes within a bounded time.
///
/// # Errors
/// As [`ModelExecutor::compile`], and `InvalidRequest` after [`COMPILE_WAIT_MAX`].
pub(crate) async fn compile(
    executor: &dyn ModelExecutor,
    constraint: Constraint,
    answered: &[TokenId],
) -> Result<CompiledConstraint, RequestError> {
    let param = constraint.param();
    let compiled = timeout(COMPILE_WAIT_MAX, executor.compile(constraint, answered.to_vec())).await;
    compiled.unwrap_or_else(|_| {
        let seconds = COMPILE_WAIT_MAX.as_secs();
        Err(RequestError::invalid(param, format!("{param} was not compiled within {seconds} s; use a simpler one")))
    })
}

/// The sequence to run, and what scheduling needs to know of it. `prompt` are the
/// prompt's tokens, `constraint` is the request's.
///
/// # Errors
/// `InvalidRequest`, if the continuation leaves nothing to generate.
pub(crate) fn prepare(
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
        None => room(model).saturating_sub(length).max(1),
    };
    if max_new_tokens == 0 {
        return Err(RequestError::invalid("continuation", "the continuation has max_tokens tokens already"));
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
    };
    Ok((demand, sequence))
}

/// Tokens that one sequence can have at most.
fn room(model: &ModelDescription) -> u32 {
    u32::try_from(model.kv_capacity_tokens).map_or(model.context_length, |kv| kv.min(model.context_length))
}
