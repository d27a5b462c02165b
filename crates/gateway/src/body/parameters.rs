//! From a body to what the generation needs: checked, with defaults filled in.

use std::time::{Duration, Instant};

use hostler_protocol::{
    Constraint, Deadline, GenerationRequest, ModelId, Priority, Prompt, RequestError, SamplingParams, SessionId,
    StopConditions, TenantId,
};

use super::fields::LogprobsField;
use super::generation::GenerationBody;
use super::{constraint, honoured};
use crate::exchange::Exchange;
use crate::limits::{COMPLETION_MAX_TOKENS_DEFAULT, GENERATIONS_MAX, NATIVE_MAX_TOKENS_DEFAULT, TOP_LOGPROBS_MAX};

/// Which endpoint was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /generate` and `POST /generate_stream`
    Native,
}

/// What a generation needs besides its model and prompt.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// How many answers to each prompt; 1 to [`GENERATIONS_MAX`].
    pub(crate) n: u32,
    pub(crate) sampling: SamplingParams,
    pub(crate) stop: StopConditions,
    constraint: Option<Constraint>,
    top_logprobs: Option<u32>,
    pub(crate) priority: Priority,
    session: Option<SessionId>,
    timeout: Duration,
}

impl Parameters {
    /// Checks every field but the model and the prompt.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(crate) fn read(
        body: &GenerationBody,
        endpoint: Endpoint,
        timeout_max: Duration,
        exchange: &Exchange,
    ) -> Result<Self, RequestError> {
        honoured::check(body, endpoint, exchange)?;
        let n = body.n.unwrap_or(1);
        if !(1..=GENERATIONS_MAX).contains(&n) {
            return Err(RequestError::invalid("n", format!("n is {n}; 1 to {GENERATIONS_MAX} are allowed")));
        }
        let stream = body.stream.unwrap_or(false);
        if body.stream_options.is_some() && !stream {
            return Err(RequestError::invalid("stream_options", "stream_options is only allowed with stream: true"));
        }
        let parameters = Self {
            stream,
            include_usage: body.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            n,
            sampling: sampling(body),
            stop: stop(body, endpoint)?,
            constraint: constraint::read(body)?,
            top_logprobs: top_logprobs(body, endpoint)?,
            priority: body.priority.unwrap_or_default(),
            session: body.session.clone(),
            timeout: timeout(body.timeout, timeout_max)?,
        };
        parameters.sampling.validate()?;
        parameters.stop.validate()?;
        Ok(parameters)
    }

    /// The generation request for one answer, by default the first to its prompt.
    /// With a seed, every further answer has the next one, or all would be the same.
    pub(crate) fn request(
        &self,
        model: ModelId,
        prompt: Prompt,
        tenant: TenantId,
        answer: u32,
        now: Instant,
    ) -> GenerationRequest {
        let mut sampling = self.sampling.clone();
        sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(u64::from(answer)));
        GenerationRequest {
            sampling,
            stop: self.stop.clone(),
            constraint: self.constraint.clone(),
            top_logprobs: self.top_logprobs,
            priority: self.priority,
            tenant,
            session: self.session.clone(),
            deadline: Deadline::after(now, self.timeout),
            ..GenerationRequest::new(model, prompt)
        }
    }
}

fn sampling(body: &GenerationBody) -> SamplingParams {
    let default = SamplingParams::default();
    SamplingParams {
        temperature: body.temperature.unwrap_or(default.temperature),
        top_p: body.top_p.unwrap_or(default.top_p),
        // vLLM's clients write −1 or 0 for "all tokens"; other negative numbers
        // become 0, which `validate` refuses by name.
        top_k: body.top_k.filter(|&k| k != -1 && k != 0).map(|k| u32::try_from(k.max(0)).unwrap_or(u32::MAX)),
        min_p: body.min_p.unwrap_or(default.min_p),
        repetition_penalty: body.repetition_penalty.unwrap_or(default.repetition_penalty),
        presence_penalty: body.presence_penalty.unwrap_or(default.presence_penalty),
        frequency_penalty: body.frequency_penalty.unwrap_or(default.frequency_penalty),
        logit_bias: body.logit_bias.iter().flatten().map(|(&token, &bias)| (token, bias)).collect(),
        seed: body.seed.map(i64::cast_unsigned),
    }
}

fn stop(body: &GenerationBody, endpoint: Endpoint) -> Result<StopConditions, RequestError> {
    let max_tokens = match (body.max_tokens, body.max_completion_tokens) {
        (Some(old), Some(new)) if old != new => {
            return Err(RequestError::invalid(
                "max_tokens",
                format!("max_tokens is {old} and max_completion_tokens is {new}; send one of them"),
            ));
        }
        (old, new) => new.or(old),
    };
    let default = match endpoint {
        Endpoint::Chat => None,
        Endpoint::Completions => Some(COMPLETION_MAX_TOKENS_DEFAULT),
        Endpoint::Native => Some(NATIVE_MAX_TOKENS_DEFAULT),
    };
    Ok(StopConditions {
        max_tokens: max_tokens.or(default),
        min_tokens: body.min_tokens.unwrap_or(0),
        sequences: body.stop.clone().unwrap_or_default().0,
        token_ids: body.stop_token_ids.clone().unwrap_or_default(),
        ignore_eos: body.ignore_eos.unwrap_or(false),
    })
}

fn top_logprobs(body: &GenerationBody, endpoint: Endpoint) -> Result<Option<u32>, RequestError> {
    let (field, wanted) = match (endpoint, body.logprobs) {
        (Endpoint::Chat, Some(LogprobsField::Flag(true))) => ("top_logprobs", Some(body.top_logprobs.unwrap_or(0))),
        (Endpoint::Chat, Some(LogprobsField::Alternatives(_))) => {
            return Err(RequestError::invalid("logprobs", "logprobs is a number; in a chat it is true or false"));
        }
        (Endpoint::Chat, _) if body.top_logprobs.is_some_and(|top| top > 0) => {
            return Err(RequestError::invalid("top_logprobs", "top_logprobs is only allowed with logprobs: true"));
        }
        (Endpoint::Completions, Some(LogprobsField::Alternatives(top))) => ("logprobs", Some(top)),
        (Endpoint::Completions, Some(LogprobsField::Flag(true))) => {
            return Err(RequestError::invalid("logprobs", "logprobs is true; in a completion it is a number"));
        }
        _ => ("logprobs", None),
    };
    match wanted {
        Some(top) if top > TOP_LOGPROBS_MAX => {
            Err(RequestError::invalid(field, format!("{field} is {top}; at most {TOP_LOGPROBS_MAX} are allowed")))
        }
        wanted => Ok(wanted),
    }
}

fn timeout(seconds: Option<f64>, max: Duration) -> Result<Duration, RequestError> {
    let Some(seconds) = seconds else { return Ok(max) };
    let wanted = Duration::try_from_secs_f64(seconds).ok().filter(|wanted| !wanted.is_zero() && *wanted <= max);
    wanted.ok_or_else(|| {
        RequestError::invalid(
            "timeout",
            format!("timeout is {seconds}; it must be above 0 and at most {} seconds", max.as_secs()),
        )
    })
}
