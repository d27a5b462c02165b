//! What an answer consists of so far, over all of its schedulers, and what each of their
//! events means for the complete answer. Pure.

use std::time::{Duration, Instant};

use hostler_protocol::{
    Deadline, ErrorCode, Finish, FinishReason, GenerationRequest, RequestError, Retry, Timings, TokenEvent, TokenId,
    Usage,
};

use crate::receipts::{ReceiptOutcome, milliseconds};

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Transcript {
    tokens: Vec<TokenId>,
    /// Bytes of text that the client has.
    sent_bytes: usize,
    /// Tokens that earlier schedulers generated.
    earlier: u32,
    prompt_tokens: u32,
    /// Most tokens that the answer can have.
    tokens_max: u32,
    migrations: u32,
    migrations_max: u32,
    can_migrate: bool,
    deadline: Option<Deadline>,
    submitted: Instant,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

/// What to do with an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The client gets it.
    Forward(TokenEvent),
    /// The client had one like it.
    Skip,
    /// The scheduler failed: another one resumes the answer.
    Migrate(RequestError),
    /// The scheduler failed after the last token: nothing is left to generate.
    Complete(RequestError),
}

impl Transcript {
    /// The transcript of a request that a scheduler has admitted. `sequence_tokens_max`
    /// bounds prompt and answer together.
    pub(crate) fn new(
        request: &GenerationRequest,
        prompt_tokens: u32,
        sequence_tokens_max: u32,
        migrations_max: u32,
        submitted: Instant,
    ) -> Self {
        let room = sequence_tokens_max.saturating_sub(prompt_tokens);
        Self {
            tokens: Vec::new(),
            sent_bytes: 0,
            earlier: 0,
            prompt_tokens,
            tokens_max: request.stop.max_tokens.map_or(room, |max| max.min(room)),
            migrations: 0,
            migrations_max,
            // A claim is on one scheduler, so no other may do its work.
            can_migrate: request.claim.is_none() && request.continuation.is_empty(),
            deadline: request.deadline,
            submitted,
            started: None,
            first_token: None,
        }
    }

    /// The tokens so far: the next scheduler continues them.
    pub(crate) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Whether an engine has started the request.
    pub(crate) fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Whether the current scheduler has generated nothing yet.
    pub(crate) fn is_first_of_segment(&self) -> bool {
        self.tokens.len() == self.earlier as usize
    }

    /// What has come of the request so far. The tokens of the cache are known only at the end.
    pub(crate) fn outcome(&self) -> ReceiptOutcome {
        let since =
            |then: Option<Instant>| then.map(|then| milliseconds(then.saturating_duration_since(self.submitted)));
        ReceiptOutcome {
            queue_ms: since(self.started),
            ttft_ms: since(self.first_token),
            prompt_tokens: self.prompt_tokens,
            cached_tokens: 0,
            completion_tokens: u32::try_from(self.tokens.len()).unwrap_or(u32::MAX),
            moves: self.migrations,
        }
    }

    /// Adds an event of the current scheduler.
    pub(crate) fn record(&mut self, event: TokenEvent, now: Instant) -> Verdict {
        match event {
            TokenEvent::Started(mut started) => {
                if self.started.is_some() {
                    return Verdict::Skip;
                }
                self.started = Some(now);
                started.prompt_tokens = self.prompt_tokens;
                Verdict::Forward(TokenEvent::Started(started))
            }
            TokenEvent::Token(token) => {
                self.first_token.get_or_insert(now);
                self.tokens.push(token.id);
                self.sent_bytes += token.text.len();
                Verdict::Forward(TokenEvent::Token(token))
            }
            TokenEvent::Finished(finish) => Verdict::Forward(TokenEvent::Finished(self.finish(finish, now))),
            TokenEvent::Failed(error) => self.fail(error, now),
        }
    }

    /// The end of an answer that is complete although its scheduler failed. `text` is that
    /// of all tokens.
    pub(crate) fn complete(&self, text: &str, stops: &[String], now: Instant) -> Finish {
        let (reason, text, stop_sequence) = ending(text, self.sent_bytes, stops);
        let completion_tokens = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        let usage = Usage { prompt_tokens: self.prompt_tokens, cached_tokens: 0, completion_tokens };
        Finish { reason, text, stop_sequence, usage, timings: self.timings(now) }
    }

    /// Turns the last scheduler's account of its part into that of the complete answer.
    fn finish(&self, finish: Finish, now: Instant) -> Finish {
        if self.migrations == 0 {
            return finish;
        }
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            // The last scheduler also reuses generated tokens, which are not in the prompt.
            cached_tokens: finish.usage.cached_tokens.min(self.prompt_tokens),
            completion_tokens: self.earlier + finish.usage.completion_tokens,
        };
        Finish { usage, timings: self.timings(now), ..finish }
    }

    fn fail(&mut self, error: RequestError, now: Instant) -> Verdict {
        let is_lost = matches!(error.code, ErrorCode::EngineFailed | ErrorCode::Unavailable);
        debug_assert!(!is_lost || error.code.retry() == Retry::Elsewhere);
        if !is_lost || !self.can_migrate {
            return Verdict::Forward(TokenEvent::Failed(error));
        }
        if self.deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Verdict::Forward(TokenEvent::Failed(RequestError::deadline_passed(format_args!(
                "when its scheduler failed: {}",
                error.message
            ))));
        }
        if self.tokens.len() >= self.tokens_max as usize {
            return Verdict::Complete(error);
        }
        if self.migrations == self.migrations_max {
            return Verdict::Forward(TokenEvent::Failed(match self.migrations_max {
                0 => error,
                max => RequestError {
                    message: format!("{}; the answer was already moved {max} times, the most allowed", error.message),
                    ..error
                },
            }));
        }
        self.migrations += 1;
        self.earlier = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        Verdict::Migrate(error)
    }

    /// The times that the client saw: a scheduler that failed reports none.
    fn timings(&self, now: Instant) -> Timings {
        let started = self.started.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now).max(started);
        let zero = Duration::ZERO;
        Timings {
            queue: started.checked_duration_since(self.submitted).unwrap_or(zero),
            prefill: first_token.checked_duration_since(started).unwrap_or(zero),
            decode: now.checked_duration_since(first_token).unwrap_or(zero),
        }
    }
}

/// Why an answer ended whose tokens are complete, the rest of its text, and the stop sequence that
/// ended it: `text` is that of all tokens, and the client has the first `sent_bytes`.
///
/// The last token may have completed a stop sequence. Then the answer ends where the first
/// sequence to be complete begins (the longest, if several are complete at once), and the
/// client has all of it.
fn ending(text: &str, sent_bytes: usize, stops: &[String]) -> (FinishReason, String, Option<String>) {
    let first = stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| text.find(stop.as_str()).map(|begin| (begin + stop.len(), begin, stop)))
        .min_by_key(|&(complete, begin, _)| (complete, begin));
    let (reason, end) = match first {
        Some((_, begin, _)) => (FinishReason::Stop, begin),
        None => (FinishReason::Length, text.len()),
    };
    let rest = text.get(sent_bytes..end).unwrap_or_default().to_owned();
    (reason, rest, first.map(|(_, _, stop)| stop.clone()))
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
