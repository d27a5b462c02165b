//! `POST /generate` and `POST /generate_stream`, and how their answers are written.

use actix_web::HttpResponse;
use bytes::BytesMut;
use hostler_protocol::{ModelId, Prompt, RequestError, TokenId};
use serde::Serialize;

use crate::generation::{Answer, End, GenerationCall, Piece, ResponseFormat, Tally, UsageBody};
use crate::http::bodies::Success;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::sse;
use crate::http::timing::TimingsBody;
use crate::request::{Dialect, PromptField};

/// Continues a prompt.
///
/// With `stream: true`, it streams the answer as `POST /generate_stream` does.
#[utoipa::path(
    post,
    path = "/generate",
    tag = "native",
    responses((status = 200, description = "The answer, or a stream of its tokens")),
    security(("api_key" = []))
)]
pub(crate) async fn generate(mut call: GenerationCall) -> Result<HttpResponse, ApiError> {
    let parameters = call.parameters(Dialect::Native)?;
    let prompt = match call.body.prompt.take() {
        Some(PromptField::Text(text)) => Prompt::Text(text),
        Some(PromptField::Tokens(tokens)) => Prompt::Tokens(tokens),
        Some(_) => {
            return Err(RequestError::invalid("prompt", "prompt: this endpoint accepts only one prompt").into());
        }
        None => return Err(RequestError::invalid("prompt", "prompt is required").into()),
    };
    let context = call.context.clone();
    let format = |id, model| NativeFormat { id: format!("gen-{id}"), model, context };
    call.respond(vec![prompt], parameters, format).await
}

/// Continues a prompt, and streams the answer token by token.
#[utoipa::path(
    post,
    path = "/generate_stream",
    tag = "native",
    responses((status = 200, description = "A stream of the answer's tokens")),
    security(("api_key" = []))
)]
pub(crate) async fn generate_stream(mut call: GenerationCall) -> Result<HttpResponse, ApiError> {
    if call.body.stream == Some(false) {
        return Err(RequestError::invalid("stream", "stream is false; this endpoint always streams").into());
    }
    call.body.stream = Some(true);
    generate(call).await
}

/// Writes a native answer, in events or as a whole.
struct NativeFormat {
    id: String,
    model: ModelId,
    context: RequestContext,
}

/// One token of a stream.
#[derive(Serialize)]
struct TokenBody<'a> {
    token: TokenId,
    text: &'a str,
}

/// The last event of a stream before `[DONE]`.
#[derive(Serialize)]
struct StreamEnd<'a> {
    id: &'a str,
    model: &'a str,
    /// Text that was held back because it could have been the start of a stop sequence.
    text: &'a str,
    finish_reason: &'static str,
    usage: UsageBody,
    timings: TimingsBody,
}

/// A whole answer.
#[derive(Serialize)]
struct GeneratedBody<'a> {
    id: &'a str,
    model: &'a str,
    text: &'a str,
    tokens: &'a [TokenId],
    finish_reason: &'static str,
    usage: UsageBody,
    timings: TimingsBody,
}

impl ResponseFormat for NativeFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let body = answers.first().map(|answer| GeneratedBody {
            id: &self.id,
            model: self.model.as_str(),
            text: &answer.text,
            tokens: &answer.tokens,
            finish_reason: answer.reason.as_str(),
            usage: tally.usage(),
            timings: TimingsBody::new(&tally.timings(), self.context.elapsed()),
        });
        HttpResponse::Ok().json(Success::new(body))
    }

    fn open(&mut self, _: &mut BytesMut, _: usize) {}

    fn token(&mut self, out: &mut BytesMut, _: usize, &Piece { token, .. }: &Piece<'_>) {
        sse::event(out, &TokenBody { token: token.id, text: &token.text });
    }

    fn close(&mut self, out: &mut BytesMut, choice: usize, &End { finish, .. }: &End<'_>) {
        let mut tally = Tally::new(1, 1);
        tally.end(choice, finish);
        let end = StreamEnd {
            id: &self.id,
            model: self.model.as_str(),
            text: &finish.text,
            finish_reason: finish.reason.as_str(),
            usage: tally.usage(),
            timings: TimingsBody::new(&finish.timings, self.context.elapsed()),
        };
        sse::event(out, &end);
    }

    /// The last event of the choice already has the usage.
    fn usage(&self, _: &mut BytesMut, _: UsageBody) {}
}
