//! `POST /v1/chat/completions`, and how its answers are written.

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::{Conversation, Finish, Prompt, RequestError, Token};
use serde::Serialize;

use super::envelope::Envelope;
use crate::generation::{Answer, GenerationCall, LabelledToken, ResponseFormat, Tally, TokenLogprob, UsageBody};
use crate::http::error::ApiError;
use crate::request::{Dialect, conversation, template_variables};

/// Answers a conversation (OpenAI).
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    responses((status = 200, description = "The answers, or a stream of their tokens")),
    security(("api_key" = []))
)]
pub(crate) async fn chat_completions(mut call: GenerationCall) -> Result<HttpResponse, ApiError> {
    let parameters = call.parameters(Dialect::Chat)?;
    let messages = call.body.messages.take();
    let messages = messages.ok_or_else(|| RequestError::invalid("messages", "messages is required"))?;
    let variables = template_variables(call.body.reasoning_effort, call.body.chat_template_kwargs.as_deref())?;
    let messages = conversation(messages, &call.context)?;
    let prompts = vec![Prompt::Chat(Conversation { messages, tools: None, variables })];
    let include_usage = parameters.include_usage;
    call.respond(prompts, parameters, |id, model| ChatFormat(Envelope::new("chatcmpl-", id, model, include_usage)))
        .await
}

/// Writes chat answers, in chunks or as a whole.
struct ChatFormat(Envelope);

impl ChatFormat {
    fn chunk(&self, out: &mut BytesMut, choices: &[ChunkChoice<'_>], usage: Option<UsageBody>) {
        self.0.chunk(out, "chat.completion.chunk", choices, usage);
    }

    fn delta(&self, out: &mut BytesMut, choice: usize, delta: Delta<'_>, logprobs: Option<ChatLogprobs>) {
        self.chunk(out, &[ChunkChoice { index: choice, delta, logprobs, finish_reason: None }], None);
    }
}

impl ResponseFormat for ChatFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let choices = answers.iter().enumerate().map(|(index, answer)| Choice {
            index,
            message: AssistantMessage { role: "assistant", content: &answer.text, refusal: None },
            logprobs: (!answer.labelled.is_empty()).then(|| ChatLogprobs::new(&answer.labelled)),
            finish_reason: answer.reason.as_str(),
        });
        self.0.whole("chat.completion", &choices.collect::<Vec<_>>(), tally.usage())
    }

    fn open(&mut self, out: &mut BytesMut, choice: usize) {
        self.delta(out, choice, Delta { role: Some("assistant"), content: Some("") }, None);
    }

    fn token(&mut self, out: &mut BytesMut, choice: usize, token: &Token, label: Option<&LabelledToken>) {
        if token.text.is_empty() && label.is_none() {
            return;
        }
        let logprobs = label.map(|label| ChatLogprobs::new(std::slice::from_ref(label)));
        self.delta(out, choice, Delta { role: None, content: Some(&token.text) }, logprobs);
    }

    fn close(&mut self, out: &mut BytesMut, choice: usize, finish: &Finish) {
        if !finish.text.is_empty() {
            self.delta(out, choice, Delta { role: None, content: Some(&finish.text) }, None);
        }
        let last = ChunkChoice {
            index: choice,
            delta: Delta { role: None, content: None },
            logprobs: None,
            finish_reason: Some(finish.reason.as_str()),
        };
        self.chunk(out, &[last], None);
    }

    fn usage(&self, out: &mut BytesMut, usage: UsageBody) {
        self.chunk(out, &[], Some(usage));
    }
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: AssistantMessage<'a>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct AssistantMessage<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatLogprobs {
    content: Vec<ChatLogprob>,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatLogprob {
    #[serde(flatten)]
    token: TopLogprob,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Serialize)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl ChatLogprobs {
    fn new(labelled: &[LabelledToken]) -> Self {
        let content = labelled.iter().map(|LabelledToken { token, top }| ChatLogprob {
            token: TopLogprob::new(token),
            top_logprobs: top.iter().map(TopLogprob::new).collect(),
        });
        Self { content: content.collect(), refusal: None }
    }
}

impl TopLogprob {
    fn new(token: &TokenLogprob) -> Self {
        Self { token: token.text(), logprob: token.logprob, bytes: token.bytes.clone() }
    }
}
