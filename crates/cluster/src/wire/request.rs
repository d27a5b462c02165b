//! Requests for generations and embeddings. A deadline is sent as the time left, because clocks of
//! two machines cannot be compared.

use std::time::Instant;

use hostler_protocol::{
    CacheScope, CallRules, ChatMessage, Constraint, Conversation, Deadline, EmbeddingInput, FencingToken,
    GenerationRequest, Prompt, SamplingParams, StopConditions, ToolCall,
};

use super::event::{weighted_from_proto, weighted_to_proto};
use super::proto::embedding_input::Input;
use super::proto::generation_request as part;
use super::{Malformed, duration_from_proto, duration_to_proto, proto};

/// A request as a message that is sent at `now`.
#[must_use]
pub fn request_to_proto(request: GenerationRequest, now: Instant) -> proto::GenerationRequest {
    let prompt = match request.prompt {
        Prompt::Text(text) => part::Prompt::Text(text),
        Prompt::Chat(chat) => part::Prompt::Chat(chat_to_proto(chat)),
        Prompt::Tokens(tokens) => part::Prompt::Tokens(proto::Tokens { tokens }),
    };
    let constraint = request.constraint.map(|constraint| match constraint {
        Constraint::JsonSchema(schema) => part::Constraint::JsonSchema(schema),
        Constraint::Regex(regex) => part::Constraint::Regex(regex),
        Constraint::Lark(grammar) => part::Constraint::Lark(grammar),
    });
    proto::GenerationRequest {
        id: request.id.to_string(),
        model: request.model.as_str().to_owned(),
        prompt: Some(prompt),
        continuation: request.continuation,
        sampling: Some(sampling_to_proto(&request.sampling)),
        stop: Some(stop_to_proto(request.stop)),
        constraint,
        calls: request.calls.map(calls_to_proto),
        top_logprobs: request.top_logprobs,
        priority: proto::Priority::from(request.priority).into(),
        tenant: request.tenant.as_str().to_owned(),
        cache_scope: Some(proto::CacheScope {
            tenant: request.cache_scope.tenant.map(String::from),
            salt: request.cache_scope.salt,
        }),
        time_left: request.deadline.map(|deadline| duration_to_proto(deadline.remaining(now))),
        claim: request.claim.map(|token| token.0),
        trace: request.trace.map(String::from),
    }
}

/// A message as a request that arrives at `now`.
///
/// # Errors
/// [`Malformed`].
pub fn request_from_proto(message: proto::GenerationRequest, now: Instant) -> Result<GenerationRequest, Malformed> {
    let priority = message.priority().try_into()?;
    let prompt = match message.prompt.ok_or_else(|| Malformed::missing("request.prompt"))? {
        part::Prompt::Text(text) => Prompt::Text(text),
        part::Prompt::Chat(chat) => Prompt::Chat(chat_from_proto(chat)?),
        part::Prompt::Tokens(tokens) => Prompt::Tokens(tokens.tokens),
    };
    let constraint = message.constraint.map(|constraint| match constraint {
        part::Constraint::JsonSchema(schema) => Constraint::JsonSchema(schema),
        part::Constraint::Regex(regex) => Constraint::Regex(regex),
        part::Constraint::Lark(grammar) => Constraint::Lark(grammar),
    });
    let scope = message.cache_scope.ok_or_else(|| Malformed::missing("request.cache_scope"))?;
    let time_left = message.time_left.map(duration_from_proto).transpose()?;
    Ok(GenerationRequest {
        id: message
            .id
            .parse()
            .map_err(|_| Malformed(format!("request.id is {:?}, which is not a request id", message.id)))?,
        model: message.model.into(),
        prompt,
        continuation: message.continuation,
        sampling: sampling_from_proto(&message.sampling.ok_or_else(|| Malformed::missing("request.sampling"))?),
        stop: stop_from_proto(message.stop.ok_or_else(|| Malformed::missing("request.stop"))?),
        constraint,
        calls: message.calls.map(calls_from_proto),
        top_logprobs: message.top_logprobs,
        priority,
        tenant: message.tenant.into(),
        cache_scope: CacheScope { tenant: scope.tenant.map(Into::into), salt: scope.salt },
        // Only the router uses it, and it has chosen this worker already.
        session: None,
        // A deadline beyond the clock's range is never reached.
        deadline: time_left.and_then(|left| Deadline::after(now, left)),
        claim: message.claim.map(FencingToken),
        trace: message.trace.and_then(|trace| trace.parse().ok()),
    })
}

/// A conversation as a message.
#[must_use]
pub fn chat_to_proto(chat: Conversation) -> proto::Chat {
    let call = |ToolCall { id, name, arguments }| proto::ToolCall { id, name, arguments };
    let messages = chat.messages.into_iter().map(|message| proto::ChatMessage {
        role: proto::Role::from(message.role).into(),
        content: message.content,
        name: message.name,
        reasoning: message.reasoning,
        tool_calls: message.tool_calls.into_iter().map(call).collect(),
        tool_call_id: message.tool_call_id,
    });
    proto::Chat { messages: messages.collect(), tools: chat.tools, variables: chat.variables }
}

/// A message as a conversation.
///
/// # Errors
/// [`Malformed`].
pub fn chat_from_proto(chat: proto::Chat) -> Result<Conversation, Malformed> {
    let call = |proto::ToolCall { id, name, arguments }| ToolCall { id, name, arguments };
    let message = |message: proto::ChatMessage| {
        let role = message.role().try_into()?;
        Ok(ChatMessage {
            role,
            content: message.content,
            name: message.name,
            reasoning: message.reasoning,
            tool_calls: message.tool_calls.into_iter().map(call).collect(),
            tool_call_id: message.tool_call_id,
        })
    };
    let messages = chat.messages.into_iter().map(message).collect::<Result<_, _>>()?;
    Ok(Conversation { messages, tools: chat.tools, variables: chat.variables })
}

fn sampling_to_proto(sampling: &SamplingParams) -> proto::Sampling {
    proto::Sampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        logit_bias: weighted_to_proto(&sampling.logit_bias),
        seed: sampling.seed,
    }
}

fn sampling_from_proto(sampling: &proto::Sampling) -> SamplingParams {
    SamplingParams {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        logit_bias: weighted_from_proto(&sampling.logit_bias),
        seed: sampling.seed,
    }
}

fn calls_to_proto(calls: CallRules) -> proto::CallRules {
    let CallRules { tools, required, parallel, is_strict } = calls;
    proto::CallRules { tools, required, parallel, is_strict }
}

fn calls_from_proto(calls: proto::CallRules) -> CallRules {
    let proto::CallRules { tools, required, parallel, is_strict } = calls;
    CallRules { tools, required, parallel, is_strict }
}

fn stop_to_proto(stop: StopConditions) -> proto::Stop {
    let StopConditions { max_tokens, min_tokens, sequences, reasoning: _, token_ids, ignore_eos } = stop;
    proto::Stop { max_tokens, min_tokens, sequences, token_ids, ignore_eos }
}

fn stop_from_proto(stop: proto::Stop) -> StopConditions {
    let proto::Stop { max_tokens, min_tokens, sequences, token_ids, ignore_eos } = stop;
    StopConditions { max_tokens, min_tokens, sequences, reasoning: None, token_ids, ignore_eos }
}

impl From<EmbeddingInput> for proto::EmbeddingInput {
    fn from(input: EmbeddingInput) -> Self {
        let input = match input {
            EmbeddingInput::Text(text) => Input::Text(text),
            EmbeddingInput::Tokens(tokens) => Input::Tokens(proto::Tokens { tokens }),
        };
        Self { input: Some(input) }
    }
}

impl TryFrom<proto::EmbeddingInput> for EmbeddingInput {
    type Error = Malformed;

    fn try_from(message: proto::EmbeddingInput) -> Result<Self, Malformed> {
        match message.input.ok_or_else(|| Malformed::missing("inputs.input"))? {
            Input::Text(text) => Ok(Self::Text(text)),
            Input::Tokens(tokens) => Ok(Self::Tokens(tokens.tokens)),
        }
    }
}
