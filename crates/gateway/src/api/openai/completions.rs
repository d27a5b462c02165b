//! `POST /v1/completions`, and how its answers are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::{Prompt, RequestError};
use serde::Serialize;

use super::envelope::Envelope;
use crate::generation::{Answer, End, GenerationCall, LabelledToken, Piece, ResponseFormat, Tally, UsageBody};
use crate::http::error::ApiError;
use crate::request::{Dialect, Parameters, PromptField};

/// Continues prompts (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "openai",
    responses((status = 200, description = "The answers, or a stream of their tokens")),
    security(("api_key" = []))
)]
pub(crate) async fn completions(mut call: GenerationCall) -> Result<HttpResponse, ApiError> {
    let parameters = call.parameters(Dialect::Completions)?;
    let prompts = prompts(call.body.prompt.take(), &parameters)?;
    let include_usage = parameters.include_usage;
    call.respond(prompts, parameters, |id, model| CompletionFormat(Envelope::new("cmpl-", id, model, include_usage)))
        .await
}

/// The prompts of the request, as many as may be answered `n` times each.
fn prompts(field: Option<PromptField>, parameters: &Parameters) -> Result<Vec<Prompt>, RequestError> {
    let (n, max) = (parameters.n, parameters.answers_max);
    let prompts: Vec<Prompt> = match field {
        None => return Err(RequestError::invalid("prompt", "prompt is required")),
        Some(PromptField::Text(text)) => vec![Prompt::Text(text)],
        Some(PromptField::Tokens(tokens)) => vec![Prompt::Tokens(tokens)],
        Some(PromptField::Texts(texts)) => texts.into_iter().map(Prompt::Text).collect(),
        Some(PromptField::TokenLists(lists)) => lists.into_iter().map(Prompt::Tokens).collect(),
    };
    let answers = prompts.len().saturating_mul(n as usize);
    if answers > max as usize {
        return Err(RequestError::invalid(
            "prompt",
            format!("{} prompts with n = {n} make {answers} answers; at most {max} are allowed", prompts.len()),
        ));
    }
    Ok(prompts)
}

/// Writes completions, in chunks or as a whole.
struct CompletionFormat(Envelope);

/// Chunks and whole answers have the same `object`.
const OBJECT: &str = "text_completion";

impl CompletionFormat {
    fn chunk(&self, out: &mut BytesMut, choices: &[Choice<'_>], usage: Option<UsageBody>) {
        self.0.chunk(out, OBJECT, choices, usage);
    }
}

impl ResponseFormat for CompletionFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            text: &answer.text,
            logprobs: (!answer.labelled.is_empty()).then(|| CompletionLogprobs::new(&answer.labelled)),
            finish_reason: Some(answer.reason.as_str()),
        });
        self.0.whole(OBJECT, &choices.collect::<Vec<_>>(), tally.usage())
    }

    /// Completions have no opening chunk.
    fn open(&mut self, _: &mut BytesMut, _: usize) {}

    fn token(&mut self, out: &mut BytesMut, choice: usize, &Piece { token, label, .. }: &Piece<'_>) {
        if token.text.is_empty() && label.is_none() {
            return;
        }
        let logprobs = label.map(|label| CompletionLogprobs::new(std::slice::from_ref(label)));
        self.chunk(out, &[Choice { index: choice, text: &token.text, logprobs, finish_reason: None }], None);
    }

    fn close(&mut self, out: &mut BytesMut, choice: usize, &End { finish, .. }: &End<'_>) {
        let finish_reason = Some(finish.reason.as_str());
        self.chunk(out, &[Choice { index: choice, text: &finish.text, logprobs: None, finish_reason }], None);
    }

    fn usage(&self, out: &mut BytesMut, usage: UsageBody) {
        self.chunk(out, &[], Some(usage));
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    text: &'a str,
    logprobs: Option<CompletionLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// The older shape: four parallel lists.
#[derive(Serialize)]
struct CompletionLogprobs<'a> {
    tokens: Vec<Cow<'a, str>>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<Cow<'a, str>, f32>>,
    /// The offset of each token in characters, from the first of these tokens.
    text_offset: Vec<usize>,
}

impl<'a> CompletionLogprobs<'a> {
    fn new(labelled: &'a [LabelledToken]) -> Self {
        let mut logprobs = Self {
            tokens: Vec::with_capacity(labelled.len()),
            token_logprobs: Vec::with_capacity(labelled.len()),
            top_logprobs: Vec::with_capacity(labelled.len()),
            text_offset: Vec::with_capacity(labelled.len()),
        };
        let mut offset = 0;
        for LabelledToken { token, top } in labelled {
            let text = String::from_utf8_lossy(&token.bytes);
            logprobs.text_offset.push(offset);
            offset += text.chars().count();
            logprobs.tokens.push(text);
            logprobs.token_logprobs.push(token.logprob);
            let top = top.iter().map(|other| (String::from_utf8_lossy(&other.bytes), other.logprob));
            logprobs.top_logprobs.push(top.collect());
        }
        logprobs
    }
}
