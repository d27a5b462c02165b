//! Reads the answer to a request: a stream, one JSON body, or an error.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::sse::{SseEvent, SseParser};
use super::with_causes;
use crate::measure::{Answer, Failure, Stopwatch};

/// Longest JSON body, in bytes: ten times the text of a long context.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest excerpt of an error body, in bytes.
const EXCERPT_BYTES_MAX: usize = 300;

/// Reads a stream of server-sent events.
pub(super) async fn read_stream(mut body: Incoming, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
    let mut parser = SseParser::default();
    let mut answer = StreamedAnswer::default();
    // Read to the end of the body, after `[DONE]`: only then is the connection free for the
    // next request.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Connection(with_causes(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        // All tokens of a frame arrived with it: parsing is not part of the measured time.
        let at = Instant::now();
        let mut result = Ok(());
        parser
            .push(&piece, |event| {
                if result.is_ok() {
                    result = answer.add(&event, at, stopwatch);
                }
            })
            .map_err(|error| Failure::Protocol(error.to_string()))?;
        result?;
    }
    answer.finish()
}

/// The part of a stream received so far.
#[derive(Default)]
struct StreamedAnswer {
    pieces: u32,
    usage: Option<TokenUsage>,
    finished: bool,
}

impl StreamedAnswer {
    fn add(&mut self, event: &SseEvent, at: Instant, stopwatch: &mut Stopwatch) -> Result<(), Failure> {
        if event.data == "[DONE]" {
            self.finished = true;
            return Ok(());
        }
        let chunk: Chunk = match serde_json::from_str(&event.data) {
            Ok(chunk) => chunk,
            Err(_) if event.name == "error" => return Err(Failure::Reported(event.data.clone())),
            Err(error) => return Err(Failure::Protocol(format!("an event is not a completion chunk: {error}"))),
        };
        if let Some(message) = chunk.error() {
            return Err(Failure::Reported(message));
        }
        if chunk.has_text() {
            stopwatch.record_token(at);
            stopwatch.record_text(chunk.content());
            self.pieces += 1;
        }
        self.finished |= chunk.finishes();
        self.usage = chunk.usage.or(self.usage);
        Ok(())
    }

    fn finish(self) -> Result<Answer, Failure> {
        if !self.finished {
            return Err(Failure::Protocol("the stream ended before the answer was complete".to_owned()));
        }
        Ok(Answer {
            prompt_tokens: self.usage.map(|usage| usage.prompt_tokens),
            output_tokens: self.usage.map_or(self.pieces, |usage| usage.completion_tokens),
            counted_by_server: self.usage.is_some(),
        })
    }
}

/// Reads an answer in one JSON body.
pub(super) async fn read_body(body: Incoming, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
    let bytes = collect(body).await?;
    let chunk: Chunk = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Protocol(format!("the answer is not JSON: {error}")))?;
    if let Some(message) = chunk.error() {
        return Err(Failure::Reported(message));
    }
    stopwatch.record_text(chunk.content());
    let usage =
        chunk.usage.ok_or_else(|| Failure::Protocol("the answer does not report its tokens (usage)".to_owned()))?;
    Ok(Answer {
        prompt_tokens: Some(usage.prompt_tokens),
        output_tokens: usage.completion_tokens,
        counted_by_server: true,
    })
}

/// Reads an answer with an error status.
pub(super) async fn error_status(status: StatusCode, body: Incoming) -> Failure {
    let message = match collect(body).await {
        Ok(bytes) => match serde_json::from_slice::<Chunk>(&bytes).ok().and_then(|chunk| chunk.error()) {
            Some(message) => message,
            None => excerpt(&bytes),
        },
        Err(failure) => failure.to_string(),
    };
    Failure::Status { status: status.as_u16(), message }
}

async fn collect(body: Incoming) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    Ok(collected.map_err(|error| Failure::Connection(with_causes(&*error)))?.to_bytes())
}

/// The start of a body, for error messages.
pub(super) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES_MAX)]).trim().to_owned()
}

/// A chunk of a stream, or a whole answer: the fields that a benchmark reads.
#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<TokenUsage>,
    error: Option<Value>,
}

/// Token counts; `null` in all chunks except the last.
#[derive(Clone, Copy, Debug, Deserialize)]
struct TokenUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Delta>,
    text: Option<String>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
    tool_calls: Option<Value>,
}

impl Chunk {
    /// Whether it contains text of the answer, the reasoning, or a tool call.
    fn has_text(&self) -> bool {
        let some = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        self.choices.iter().any(|choice| {
            some(&choice.text)
                || choice.delta.as_ref().is_some_and(|delta| {
                    some(&delta.content) || some(&delta.reasoning_content) || delta.tool_calls.is_some()
                })
        })
    }

    /// The answer's text in this chunk.
    fn content(&self) -> &str {
        let Some(choice) = self.choices.first() else { return "" };
        let delta = || choice.delta.as_ref()?.content.as_deref();
        choice.text.as_deref().or_else(delta).unwrap_or_default()
    }

    /// Whether this chunk ends the answer.
    fn finishes(&self) -> bool {
        self.choices.iter().any(|choice| choice.finish_reason.is_some())
    }

    /// The server's error message.
    fn error(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Chunk {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn chunks_without_text_are_recognised() {
        assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#).has_text());
        assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#).has_text());
        assert!(!chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#).has_text());
        assert!(chunk(r#"{"choices":[{"delta":{"content":" a"}}]}"#).has_text());
        assert!(chunk(r#"{"choices":[{"delta":{"reasoning_content":"so"}}]}"#).has_text());
        assert!(chunk(r#"{"choices":[{"text":"\n","finish_reason":"length"}]}"#).finishes());
    }

    #[test]
    fn error_messages_are_taken_from_the_server() {
        assert_eq!(chunk(r#"{"error":{"message":"no","type":"x"}}"#).error().as_deref(), Some("no"));
        assert_eq!(chunk(r#"{"error":"no"}"#).error().as_deref(), Some("\"no\""));
        assert_eq!(chunk(r#"{"choices":[]}"#).error(), None);
    }
}
