//! `POST /v1/messages`, and how its answers are written.

use actix_web::{HttpResponse, web};
use bytes::BytesMut;
use hostler_protocol::{ModelId, Prompt, RequestError, RequestId, Usage};

use super::blocks::{Blocks, whole};
use super::body::MessagesBody;
use super::events::{Event, Message, MessageDelta, stop_reason};
use crate::generation::{Answer, End, GenerationCall, Part, Piece, ResponseFormat, Tally, UsageBody};
use crate::http::anthropic_error::AnthropicError;
use crate::http::auth::Caller;
use crate::http::context::RequestContext;
use crate::http::error::ApiError;
use crate::http::sse;
use crate::http::state::AppState;
use crate::request::{Dialect, HeaderOptions, Json};

/// Answers a conversation (Anthropic).
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "anthropic",
    responses((status = 200, description = "The answer, or a stream of events"))
)]
pub(crate) async fn messages(
    state: web::Data<AppState>,
    context: RequestContext,
    caller: Caller,
    options: HeaderOptions,
    Json(body): Json<MessagesBody>,
) -> Result<HttpResponse, ApiError> {
    let (body, conversation) = body.into_generation(&context)?;
    let call = GenerationCall::new(state, context, caller, options, body);
    let parameters = call.parameters(Dialect::Messages)?;
    let context = call.context.clone();
    let format = |id, model| MessageFormat::new(id, model, context);
    call.respond(vec![Prompt::Chat(conversation)], parameters, format).await
}

/// Writes a message, in events or as a whole.
struct MessageFormat {
    id: String,
    model: ModelId,
    context: RequestContext,
    blocks: Blocks,
}

impl MessageFormat {
    fn new(id: RequestId, model: ModelId, context: RequestContext) -> Self {
        Self { id: format!("msg_{id}"), model, context, blocks: Blocks::default() }
    }

    fn write(&mut self, out: &mut BytesMut, parts: &[Part]) {
        for part in parts {
            self.blocks.part(part).iter().for_each(|event| event.write(out));
        }
    }

    /// The message without its content and its end.
    fn message(&self, usage: Usage) -> Message<'_> {
        Message {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: self.model.as_str(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: usage.into(),
        }
    }
}

impl ResponseFormat for MessageFormat {
    fn whole(&self, answers: &[Answer], tally: &Tally) -> HttpResponse {
        let message = answers.first().map(|answer| Message {
            content: whole(&answer.message),
            stop_reason: Some(stop_reason(
                answer.reason,
                answer.stop_sequence.as_deref(),
                answer.message.calls().next().is_some(),
            )),
            stop_sequence: answer.stop_sequence.as_deref(),
            ..self.message(tally.total())
        });
        HttpResponse::Ok().json(message)
    }

    /// How much of the prompt was cached is known at the end.
    fn open(&mut self, out: &mut BytesMut, _: usize) {
        let prompt_tokens = self.context.prompt_tokens.get().unwrap_or(0);
        let message = self.message(Usage { prompt_tokens, ..Usage::default() });
        Event::MessageStart { message }.write(out);
        Event::Ping.write(out);
    }

    fn token(&mut self, out: &mut BytesMut, _: usize, piece: &Piece<'_>) {
        self.write(out, piece.parts);
    }

    fn close(&mut self, out: &mut BytesMut, _: usize, end: &End<'_>) {
        self.write(out, end.parts);
        self.blocks.close().iter().for_each(|event| event.write(out));
        let (finish, stop_sequence) = (end.finish, end.finish.stop_sequence.as_deref());
        let stop_reason = stop_reason(finish.reason, stop_sequence, end.summary.has_called);
        let delta = MessageDelta { stop_reason, stop_sequence };
        Event::MessageDelta { delta, usage: finish.usage.into() }.write(out);
    }

    /// The end of the message already has it.
    fn usage(&self, _: &mut BytesMut, _: UsageBody) {}

    fn end(&self, out: &mut BytesMut) {
        Event::MessageStop.write(out);
    }

    fn error(&self, out: &mut BytesMut, error: &RequestError) {
        sse::named_event(out, "error", &AnthropicError::new(error, &self.context));
    }
}
