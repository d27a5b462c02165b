//! Reads what a generation produces.

use std::time::Instant;

use futures::{Stream, StreamExt};
use hostler_protocol::{ErrorCode, RequestError, TokenEvent};

use crate::measure::{Answer, Failure, Stopwatch};

/// Reads a generation to its end.
pub(super) async fn read(
    mut events: impl Stream<Item = TokenEvent> + Unpin,
    stopwatch: &mut Stopwatch,
) -> Result<Answer, Failure> {
    while let Some(event) = events.next().await {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => note(&token.text, stopwatch),
            TokenEvent::Finished(finish) => {
                note(&finish.text, stopwatch);
                return Ok(Answer {
                    prompt_tokens: Some(finish.usage.prompt_tokens),
                    output_tokens: finish.usage.completion_tokens,
                    counted_by_server: true,
                });
            }
            TokenEvent::Failed(error) => return Err(error.into()),
        }
    }
    let message = RequestError::ended_without_final_event().message;
    Err(Failure::Code { code: ErrorCode::EngineFailed, message })
}

/// A client sees only what has text.
fn note(text: &str, stopwatch: &mut Stopwatch) {
    if !text.is_empty() {
        stopwatch.token(Instant::now());
        stopwatch.text(text);
    }
}
