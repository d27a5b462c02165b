//! Answers: token events and embeddings.

use hostler_protocol::{Embeddings, Finish, Logprob, Started, Timings, Token, TokenEvent, Usage};

use super::proto::token_event::Event;
use super::{Malformed, duration_to_proto, proto, required_duration};

/// An event as a message.
#[must_use]
pub fn event_to_proto(event: TokenEvent) -> proto::TokenEvent {
    let event = match event {
        TokenEvent::Started(Started { prompt_tokens }) => Event::Started(proto::Started { prompt_tokens }),
        TokenEvent::Token(token) => Event::Token(proto::Token {
            id: token.id,
            text: token.text,
            logprob: token
                .logprob
                .map(|logprob| proto::Logprob { logprob: logprob.logprob, top: weighted_to_proto(&logprob.top) }),
        }),
        TokenEvent::Finished(finish) => Event::Finished(finish_to_proto(finish)),
        TokenEvent::Failed(error) => Event::Failed(error.into()),
    };
    proto::TokenEvent { event: Some(event) }
}

/// A message as an event.
///
/// # Errors
/// [`Malformed`].
pub fn event_from_proto(message: proto::TokenEvent) -> Result<TokenEvent, Malformed> {
    Ok(match message.event.ok_or_else(|| Malformed::missing("the event"))? {
        Event::Started(started) => TokenEvent::Started(Started { prompt_tokens: started.prompt_tokens }),
        Event::Token(token) => TokenEvent::Token(Token {
            id: token.id,
            text: token.text,
            logprob: token
                .logprob
                .map(|logprob| Logprob { logprob: logprob.logprob, top: weighted_from_proto(&logprob.top) }),
        }),
        Event::Finished(finish) => TokenEvent::Finished(finish_from_proto(finish)?),
        Event::Failed(failure) => TokenEvent::Failed(failure.try_into()?),
    })
}

pub(super) fn weighted_to_proto(tokens: &[(u32, f32)]) -> Vec<proto::WeightedToken> {
    tokens.iter().map(|&(id, value)| proto::WeightedToken { id, value }).collect()
}

pub(super) fn weighted_from_proto(tokens: &[proto::WeightedToken]) -> Vec<(u32, f32)> {
    tokens.iter().map(|token| (token.id, token.value)).collect()
}

fn finish_to_proto(finish: Finish) -> proto::Finish {
    let Usage { prompt_tokens, cached_tokens, completion_tokens } = finish.usage;
    let Timings { queue, prefill, decode } = finish.timings;
    proto::Finish {
        reason: proto::FinishReason::from(finish.reason).into(),
        text: finish.text,
        stop_sequence: finish.stop_sequence,
        usage: Some(proto::Usage { prompt_tokens, cached_tokens, completion_tokens }),
        timings: Some(proto::Timings {
            queue: Some(duration_to_proto(queue)),
            prefill: Some(duration_to_proto(prefill)),
            decode: Some(duration_to_proto(decode)),
        }),
    }
}

fn finish_from_proto(finish: proto::Finish) -> Result<Finish, Malformed> {
    let reason = finish.reason().try_into()?;
    let usage = finish.usage.ok_or_else(|| Malformed::missing("finish.usage"))?;
    let timings = finish.timings.ok_or_else(|| Malformed::missing("finish.timings"))?;
    Ok(Finish {
        reason,
        text: finish.text,
        stop_sequence: finish.stop_sequence,
        usage: Usage {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
        },
        timings: Timings {
            queue: required_duration(timings.queue, "timings.queue")?,
            prefill: required_duration(timings.prefill, "timings.prefill")?,
            decode: required_duration(timings.decode, "timings.decode")?,
        },
    })
}

impl From<Embeddings> for proto::Embeddings {
    fn from(own: Embeddings) -> Self {
        let vectors = own.vectors.into_iter().map(|numbers| proto::Vector { numbers }).collect();
        Self { vectors, prompt_tokens: own.prompt_tokens }
    }
}

impl From<proto::Embeddings> for Embeddings {
    fn from(message: proto::Embeddings) -> Self {
        let vectors = message.vectors.into_iter().map(|vector| vector.numbers).collect();
        Self { vectors, prompt_tokens: message.prompt_tokens }
    }
}
