//! Reads the answer to a request.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;

use super::chunk::{Chunk, Usage};
use super::sse::{SseEvent, SseParser};
use crate::measure::{Answer, Failure, Stopwatch};

/// Longest answer in one piece, in bytes: ten times the text of a long context.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// As much of an error body as is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 300;

/// An answer that comes token by token.
pub(super) async fn streamed(mut body: Incoming, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
    let mut parser = SseParser::default();
    let mut progress = Progress::default();
    // Read to the end of the body, beyond `[DONE]`: only then is the connection
    // free for the next request.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Connection(super::with_causes(&error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        let at = Instant::now();
        let mut result = Ok(());
        parser
            .push(&piece, |event| {
                if result.is_ok() {
                    result = progress.take(&event, at, stopwatch);
                }
            })
            .map_err(|error| Failure::Protocol(error.to_string()))?;
        result?;
    }
    progress.answer()
}

/// What a stream has brought so far.
#[derive(Default)]
struct Progress {
    pieces: u32,
    usage: Option<Usage>,
    finished: bool,
}

impl Progress {
    fn take(&mut self, event: &SseEvent, at: Instant, stopwatch: &mut Stopwatch) -> Result<(), Failure> {
        if event.data == "[DONE]" {
            self.finished = true;
            return Ok(());
        }
        let chunk: Chunk = match serde_json::from_str(&event.data) {
            Ok(chunk) => chunk,
            Err(_) if event.name == "error" => return Err(Failure::Reported(event.data.clone())),
            Err(error) => return Err(Failure::Protocol(format!("an event is not a chunk: {error}"))),
        };
        if let Some(message) = chunk.error() {
            return Err(Failure::Reported(message));
        }
        if chunk.has_text() {
            stopwatch.token(at);
            stopwatch.text(chunk.content());
            self.pieces += 1;
        }
        self.finished |= chunk.finishes();
        self.usage = chunk.usage.or(self.usage);
        Ok(())
    }

    fn answer(self) -> Result<Answer, Failure> {
        if !self.finished {
            return Err(Failure::Protocol("the stream ended before the answer did".to_owned()));
        }
        Ok(Answer {
            prompt_tokens: self.usage.map(|usage| usage.prompt_tokens),
            output_tokens: self.usage.map_or(self.pieces, |usage| usage.completion_tokens),
            counted_by_server: self.usage.is_some(),
        })
    }
}

/// An answer in one piece.
pub(super) async fn whole(body: Incoming, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
    let bytes = read(body, BODY_BYTES_MAX).await?;
    let chunk: Chunk = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Protocol(format!("the answer is not JSON: {error}")))?;
    if let Some(message) = chunk.error() {
        return Err(Failure::Reported(message));
    }
    stopwatch.text(chunk.content());
    let usage =
        chunk.usage.ok_or_else(|| Failure::Protocol("the answer does not tell its tokens (usage)".to_owned()))?;
    Ok(Answer {
        prompt_tokens: Some(usage.prompt_tokens),
        output_tokens: usage.completion_tokens,
        counted_by_server: true,
    })
}

/// An answer with an error status.
pub(super) async fn refusal(status: StatusCode, body: Incoming) -> Failure {
    let message = match read(body, BODY_BYTES_MAX).await {
        Ok(bytes) => match serde_json::from_slice::<Chunk>(&bytes).ok().and_then(|chunk| chunk.error()) {
            Some(message) => message,
            None => beginning(&bytes),
        },
        Err(failure) => failure.to_string(),
    };
    Failure::Status { status: status.as_u16(), message }
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, bytes_max).collect().await;
    Ok(collected.map_err(|error| Failure::Connection(super::with_causes(&*error)))?.to_bytes())
}

/// As much of a body as fits into a message.
pub(super) fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(MESSAGE_BYTES_MAX)]).trim().to_owned()
}
