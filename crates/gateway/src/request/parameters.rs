//! From a body to the parameters of its generations: validated, with defaults filled in.

use std::time::{Duration, Instant};

use hostler_config::ServerConfig;
use hostler_protocol::{
    CacheScope, CallRules, Constraint, Deadline, GenerationRequest, ModelId, Priority, Prompt, RequestError,
    SamplingParams, SessionId, StopConditions, TenantId,
};

use super::body::{Dialect, GenerationBody, ResponseFormat, ResponseFormatType};
use super::fields::LogprobsField;
use super::names::SentNames;
use super::support;
use super::tool_fields::chat_tools;
use super::tools::Tools;
use crate::http::context::RequestContext;
use crate::http::limits::{
    CACHE_SALT_BYTES_MAX, COMPLETION_MAX_TOKENS_DEFAULT, CONSTRAINT_BYTES_MAX, NATIVE_MAX_TOKENS_DEFAULT,
    TOP_LOGPROBS_MAX,
};

/// What a generation needs in addition to its model and prompt.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Answers per prompt, at least 1.
    pub(crate) n: u32,
    /// Most answers to all prompts together.
    pub(crate) answers_max: u32,
    pub(crate) sampling: SamplingParams,
    pub(crate) stop: StopConditions,
    constraint: Option<Constraint>,
    /// What the answer may call. `None`: its text is passed on as it is, with calls and reasoning.
    pub(crate) tools: Option<Tools>,
    top_logprobs: Option<u32>,
    /// As requested; the caller's key decides what is allowed.
    pub(crate) priority: Option<Priority>,
    session: Option<SessionId>,
    /// Whether tenants share cached prefixes.
    share_prefixes: bool,
    cache_salt: Option<String>,
    timeout: Duration,
    pub(crate) names: SentNames,
}

impl Parameters {
    /// Validates every field except the model and the prompt.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(crate) fn read(
        body: &GenerationBody,
        dialect: Dialect,
        server: &ServerConfig,
        context: &RequestContext,
    ) -> Result<Self, RequestError> {
        support::check(body, dialect, context)?;
        let n = body.n.unwrap_or(1);
        let answers_max = server.answers_max;
        if !(1..=answers_max).contains(&n) {
            return Err(RequestError::invalid("n", format!("n is {n}; 1 to {answers_max} are allowed")));
        }
        let stream = body.stream.unwrap_or(false);
        if body.stream_options.is_some() && !stream {
            return Err(RequestError::invalid("stream_options", "stream_options is only allowed with stream: true"));
        }
        let parameters = Self {
            stream,
            include_usage: body.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            n,
            answers_max,
            sampling: sampling(body),
            stop: stop(body, dialect)?,
            constraint: constraint(body)?,
            tools: tools(body, dialect)?,
            top_logprobs: top_logprobs(body, dialect)?,
            priority: body.priority,
            session: body.session.clone(),
            share_prefixes: server.share_prefixes,
            cache_salt: cache_salt(body)?,
            timeout: timeout(body.timeout, server.request_timeout)?,
            names: SentNames::of(body, dialect),
        };
        parameters.sampling.validate()?;
        parameters.check_combination()?;
        parameters.stop.validate().map_err(|error| parameters.names.put_into(error))?;
        Ok(parameters)
    }

    /// Text has a schema, or the answer may be a call; other constraints exclude calls.
    fn check_combination(&self) -> Result<(), RequestError> {
        match &self.constraint {
            None | Some(Constraint::JsonSchema(_)) => Ok(()),
            Some(_) if self.calls().is_none() => Ok(()),
            Some(other) => {
                let param = other.param();
                Err(RequestError::invalid(param, format!("{param} and tools are mutually exclusive")))
            }
        }
    }

    fn calls(&self) -> Option<CallRules> {
        self.tools.as_ref().and_then(Tools::rules)
    }

    /// The generation request for an answer, by its index among those to the same prompt. With a
    /// seed, answer `i` has seed + `i`; otherwise all answers would be the same.
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
            calls: self.calls(),
            top_logprobs: self.top_logprobs,
            priority: self.priority.unwrap_or_default(),
            cache_scope: CacheScope {
                tenant: (!self.share_prefixes).then(|| tenant.clone()),
                salt: self.cache_salt.clone(),
            },
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
        // vLLM's clients send −1 or 0 for "all tokens". Other negative numbers become 0, which
        // `validate` refuses with the name of the field.
        top_k: body.top_k.filter(|&k| k != -1 && k != 0).map(|k| u32::try_from(k.max(0)).unwrap_or(u32::MAX)),
        min_p: body.min_p.unwrap_or(default.min_p),
        repetition_penalty: body.repetition_penalty.unwrap_or(default.repetition_penalty),
        presence_penalty: body.presence_penalty.unwrap_or(default.presence_penalty),
        frequency_penalty: body.frequency_penalty.unwrap_or(default.frequency_penalty),
        logit_bias: body.logit_bias.iter().flatten().map(|(&token, &bias)| (token, bias)).collect(),
        seed: body.seed.map(i64::cast_unsigned),
    }
}

fn stop(body: &GenerationBody, dialect: Dialect) -> Result<StopConditions, RequestError> {
    let max_tokens = match (body.max_tokens, body.max_completion_tokens) {
        (Some(old), Some(new)) if old != new => {
            return Err(RequestError::invalid(
                "max_tokens",
                format!("max_tokens is {old} and max_completion_tokens is {new}; send one of them"),
            ));
        }
        (old, new) => new.or(old),
    };
    let default = match dialect {
        Dialect::Chat | Dialect::Messages | Dialect::Responses => None,
        Dialect::Completions => Some(COMPLETION_MAX_TOKENS_DEFAULT),
        Dialect::Native => Some(NATIVE_MAX_TOKENS_DEFAULT),
    };
    Ok(StopConditions {
        max_tokens: max_tokens.or(default),
        min_tokens: body.min_tokens.unwrap_or(0),
        sequences: body.stop.clone().unwrap_or_default().0,
        token_ids: body.stop_token_ids.clone().unwrap_or_default(),
        ignore_eos: body.ignore_eos.unwrap_or(false),
        reasoning: None,
    })
}

fn top_logprobs(body: &GenerationBody, dialect: Dialect) -> Result<Option<u32>, RequestError> {
    let (field, wanted) = match (dialect, body.logprobs) {
        (Dialect::Chat, Some(LogprobsField::Flag(true))) => ("top_logprobs", Some(body.top_logprobs.unwrap_or(0))),
        (Dialect::Chat, Some(LogprobsField::Alternatives(_))) => {
            return Err(RequestError::invalid("logprobs", "logprobs is a number; for a chat it must be true or false"));
        }
        (Dialect::Chat, _) if body.top_logprobs.is_some_and(|top| top > 0) => {
            return Err(RequestError::invalid("top_logprobs", "top_logprobs is only allowed with logprobs: true"));
        }
        (Dialect::Completions, Some(LogprobsField::Alternatives(top))) => ("logprobs", Some(top)),
        (Dialect::Completions, Some(LogprobsField::Flag(true))) => {
            return Err(RequestError::invalid("logprobs", "logprobs is true; for a completion it must be a number"));
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

/// The tools of an endpoint that reads the parts of answers.
fn tools(body: &GenerationBody, dialect: Dialect) -> Result<Option<Tools>, RequestError> {
    match dialect {
        Dialect::Chat => {
            let (tools, choice) = (body.tools.as_deref(), body.tool_choice.as_ref());
            chat_tools(tools, choice, body.parallel_tool_calls).map(Some)
        }
        _ => Ok(body.read_tools.clone()),
    }
}

/// The constraint on the answer's form, of which a body can have one.
fn constraint(body: &GenerationBody) -> Result<Option<Constraint>, RequestError> {
    let constraints = [
        ("response_format", body.response_format.as_deref().map(schema).transpose()?.flatten()),
        ("regex", body.regex.clone().map(Constraint::Regex)),
        ("lark", body.lark.clone().map(Constraint::Lark)),
    ];
    let mut constraints = constraints.into_iter().filter_map(|(field, constraint)| Some((field, constraint?)));
    let Some((field, constraint)) = constraints.next() else { return Ok(None) };
    if let Some((other, _)) = constraints.next() {
        return Err(RequestError::invalid(other, format!("{other} and {field} are mutually exclusive")));
    }
    let (Constraint::JsonSchema(text) | Constraint::Regex(text) | Constraint::Lark(text)) = &constraint;
    if text.is_empty() || text.len() > CONSTRAINT_BYTES_MAX {
        return Err(RequestError::invalid(
            field,
            format!("{field} has {} bytes; 1 to {CONSTRAINT_BYTES_MAX} are allowed", text.len()),
        ));
    }
    Ok(Some(constraint))
}

fn schema(format: &ResponseFormat) -> Result<Option<Constraint>, RequestError> {
    let schema = format.json_schema.as_ref().and_then(|format| format.schema.as_ref());
    match (format.r#type, schema) {
        (ResponseFormatType::Text, _) => Ok(None),
        (ResponseFormatType::JsonObject, _) => Ok(Some(Constraint::JsonSchema(r#"{"type":"object"}"#.to_owned()))),
        (ResponseFormatType::JsonSchema, Some(schema)) => Ok(Some(Constraint::JsonSchema(schema.to_string()))),
        (ResponseFormatType::JsonSchema, None) => Err(RequestError::invalid(
            "response_format.json_schema.schema",
            "response_format.json_schema.schema is required, because the type is json_schema",
        )),
    }
}

fn cache_salt(body: &GenerationBody) -> Result<Option<String>, RequestError> {
    match &body.cache_salt {
        Some(salt) if !(1..=CACHE_SALT_BYTES_MAX).contains(&salt.len()) => Err(RequestError::invalid(
            "cache_salt",
            format!("cache_salt has {} bytes; 1 to {CACHE_SALT_BYTES_MAX} are allowed", salt.len()),
        )),
        salt => Ok(salt.clone()),
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
