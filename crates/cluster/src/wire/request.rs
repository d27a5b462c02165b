//! Generation requests. A deadline travels as the time that is left: an instant means
//! nothing on another machine.

use std::time::Instant;

use hostler_protocol::{
    ChatMessage, Constraint, Deadline, FencingToken, GenerationRequest, Prompt, SamplingParams, StopConditions,
};

use super::event::{weighted, weighted_messages};
use super::proto::generation_request as part;
use super::{Malformed, proto};

/// A request as a message that is sent at `now`.
#[must_use]
pub fn request_message(request: GenerationRequest, now: Instant) -> proto::GenerationRequest {
    let prompt = match request.prompt {
        Prompt::Text(text) => part::Prompt::Text(text),
        Prompt::Chat(messages) => part::Prompt::Chat(chat_message(messages)),
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
        sampling: Some(sampling_message(&request.sampling)),
        stop: Some(stop_message(request.stop)),
        constraint,
        top_logprobs: request.top_logprobs,
        priority: proto::Priority::from(request.priority).into(),
        tenant: request.tenant.as_str().to_owned(),
        time_left: request.deadline.map(|deadline| deadline.remaining(now).into()),
        claim: request.claim.map(|token| token.0),
        trace: request.trace.map(String::from),
    }
}

/// A message as a request that arrives at `now`.
///
/// # Errors
/// [`Malformed`].
pub fn request(message: proto::GenerationRequest, now: Instant) -> Result<GenerationRequest, Malformed> {
    let priority = message.priority().try_into()?;
    let prompt = match message.prompt.ok_or_else(|| Malformed::missing("request.prompt"))? {
        part::Prompt::Text(text) => Prompt::Text(text),
        part::Prompt::Chat(messages) => Prompt::Chat(chat(messages)?),
        part::Prompt::Tokens(tokens) => Prompt::Tokens(tokens.tokens),
    };
    let constraint = message.constraint.map(|constraint| match constraint {
        part::Constraint::JsonSchema(schema) => Constraint::JsonSchema(schema),
        part::Constraint::Regex(regex) => Constraint::Regex(regex),
        part::Constraint::Lark(grammar) => Constraint::Lark(grammar),
    });
    let time_left = message.time_left.map(TryInto::try_into).transpose()?;
    Ok(GenerationRequest {
        id: message.id.parse().map_err(|_| Malformed(format!("request.id is {:?}, which is no id", message.id)))?,
        model: message.model.into(),
        prompt,
        continuation: message.continuation,
        sampling: sampling(&message.sampling.ok_or_else(|| Malformed::missing("request.sampling"))?),
        stop: stop(message.stop.ok_or_else(|| Malformed::missing("request.stop"))?),
        constraint,
        top_logprobs: message.top_logprobs,
        priority,
        tenant: message.tenant.into(),
        // The router that chose this worker has made use of it.
        session: None,
        // A time beyond the clock's range is as good as none.
        deadline: time_left.and_then(|left| Deadline::after(now, left)),
        claim: message.claim.map(FencingToken),
        trace: message.trace.and_then(|trace| trace.parse().ok()),
    })
}

/// A conversation as a message.
#[must_use]
pub fn chat_message(messages: Vec<ChatMessage>) -> proto::Chat {
    let messages = messages.into_iter().map(|message| proto::ChatMessage {
        role: proto::Role::from(message.role).into(),
        content: message.content,
        name: message.name,
    });
    proto::Chat { messages: messages.collect() }
}

/// A message as a conversation.
///
/// # Errors
/// [`Malformed`].
pub fn chat(chat: proto::Chat) -> Result<Vec<ChatMessage>, Malformed> {
    let message = |message: proto::ChatMessage| {
        let role = message.role().try_into()?;
        Ok(ChatMessage { role, content: message.content, name: message.name })
    };
    chat.messages.into_iter().map(message).collect()
}

fn sampling_message(sampling: &SamplingParams) -> proto::Sampling {
    proto::Sampling {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        logit_bias: weighted_messages(&sampling.logit_bias),
        seed: sampling.seed,
    }
}

fn sampling(sampling: &proto::Sampling) -> SamplingParams {
    SamplingParams {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        min_p: sampling.min_p,
        repetition_penalty: sampling.repetition_penalty,
        presence_penalty: sampling.presence_penalty,
        frequency_penalty: sampling.frequency_penalty,
        logit_bias: weighted(&sampling.logit_bias),
        seed: sampling.seed,
    }
}

fn stop_message(stop: StopConditions) -> proto::Stop {
    let StopConditions { max_tokens, min_tokens, sequences, token_ids, ignore_eos } = stop;
    proto::Stop { max_tokens, min_tokens, sequences, token_ids, ignore_eos }
}

fn stop(stop: proto::Stop) -> StopConditions {
    let proto::Stop { max_tokens, min_tokens, sequences, token_ids, ignore_eos } = stop;
    StopConditions { max_tokens, min_tokens, sequences, token_ids, ignore_eos }
}
