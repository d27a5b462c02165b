//! Turns a request into a sequence before the actor receives it: checks the parameters,
//! tokenizes the prompt and compiles the constraint.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hostler_executor::{CompiledConstraint, ModelExecutor, Sequence};
use hostler_protocol::{ErrorCode, GenerationRequest, ModelDescription, Prompt, RequestError, TenantId, TokenId};
use tokio::time::timeout;

use crate::answer_form::AnswerForm;
use crate::state::{Demand, Ticket};
use crate::text_work::{TextOwner, TextWork};

/// A constraint must be compiled within this time, queue included. Typical schemas take
/// some milliseconds of processor time, and the executor's limits allow half a second.
const COMPILE_WAIT_MAX: Duration = Duration::from_secs(1);

/// A request that is ready for the actor.
pub(crate) struct PreparedRequest {
    /// Length of the prompt, without a continuation.
    pub(crate) prompt_tokens: u32,
    /// The prompt ends with the tag that opens the reasoning.
    pub(crate) starts_in_reasoning: bool,
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
    let owner = TextOwner::Generation(request.tenant.clone());
    let (prompt, reasoning) = texts.tokenize_prompt(owner, prompt).await?;
    let starts_in_reasoning = reasoning.as_ref().is_some_and(|span| span.is_open);
    let form = AnswerForm::of(&mut request, model, reasoning.as_ref())?;
    request.stop.reasoning = reasoning;
    let constraint = match form {
        Some(form) => compile(executor, &request.tenant, form, &request.continuation).await?,
        None => None,
    };
    let prompt_tokens = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
    let ticket = Ticket(tickets.fetch_add(1, Ordering::Relaxed));
    let (demand, sequence) = split(request, prompt, constraint, model, ticket)?;
    Ok(PreparedRequest { prompt_tokens, starts_in_reasoning, demand, sequence })
}

/// Checks everything that does not depend on the prompt's tokens.
fn check(request: &GenerationRequest, model: &ModelDescription) -> Result<(), RequestError> {
    request.sampling.validate()?;
    request.stop.validate()?;
    let can = &model.capabilities;
    if let Some(constraint) = request.constraint.as_ref().filter(|_| !can.constraints) {
        return Err(RequestError::invalid(constraint.param(), "this engine does not support constrained output"));
    }
    if let Some(calls) = request.calls.as_ref().filter(|_| !can.constraints) {
        if calls.required {
            let message = "tool_choice: this engine does not support constrained output, so it cannot force a call";
            return Err(RequestError::invalid("tool_choice", message));
        }
        if calls.is_strict {
            let message = "tools: this engine does not support constrained output, so it cannot enforce strict";
            return Err(RequestError::invalid("tools", message));
        }
    }
    if let Some(wanted) = request.top_logprobs {
        match can.top_logprobs_max {
            None => return Err(RequestError::invalid("logprobs", "this engine does not support log probabilities")),
            Some(max) if wanted > max => {
                let message = format!("top_logprobs is {wanted}; this engine supports at most {max}");
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

/// Compiles a request's constraint before the request is queued: compiling then occupies
/// no slot, and takes a limited time.
///
/// # Errors
/// As [`ModelExecutor::compile`], and `InvalidRequest` after [`COMPILE_WAIT_MAX`].
async fn compile(
    executor: &dyn ModelExecutor,
    tenant: &TenantId,
    form: AnswerForm,
    answered: &[TokenId],
) -> Result<Option<CompiledConstraint>, RequestError> {
    let AnswerForm { constraint, param, is_optional } = form;
    let compiled = timeout(COMPILE_WAIT_MAX, executor.compile(tenant, constraint, answered.to_vec())).await;
    let compiled = compiled.unwrap_or_else(|_| {
        let seconds = COMPILE_WAIT_MAX.as_secs();
        Err(RequestError::invalid(param, format!("{param} was not compiled within {seconds} s; use a simpler one")))
    });
    match compiled {
        Ok(compiled) => Ok(Some(compiled)),
        Err(error) if is_optional && error.code == ErrorCode::InvalidRequest => {
            tracing::debug!(reason = %error.message, "the calls of a request are not constrained");
            Ok(None)
        }
        Err(error) => Err(RequestError { param: Some(param.into()), ..error }),
    }
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
        None => room(model).saturating_sub(length).max(1),
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

/// Maximum tokens of one sequence.
fn room(model: &ModelDescription) -> u32 {
    u32::try_from(model.kv_capacity_tokens).map_or(model.context_length, |kv| kv.min(model.context_length))
}

#[cfg(test)]
mod tests {
    use hostler_protocol::{CallRules, Capabilities};
    use hostler_testkit::model_description;

    use super::*;

    #[test]
    fn calls_that_must_be_enforced_need_an_engine_with_constraints() {
        let refused = |required, is_strict, constraints| {
            let capabilities = Capabilities { constraints, ..Capabilities::default() };
            let model = ModelDescription { capabilities, ..model_description("m") };
            let calls = Some(CallRules { tools: "[]".to_owned(), required, parallel: true, is_strict });
            let request = GenerationRequest { calls, ..GenerationRequest::new("m".into(), Prompt::Tokens(vec![0])) };
            check(&request, &model).err().and_then(|error| error.param)
        };
        assert_eq!(refused(true, true, true), None);
        assert_eq!(refused(false, false, false), None);
        assert_eq!(refused(true, true, false).as_deref(), Some("tool_choice"));
        assert_eq!(refused(false, true, false).as_deref(), Some("tools"));
    }
}
