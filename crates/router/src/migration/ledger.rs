//! What an answer consists of so far, and what an event of one of its schedulers means
//! for all of it. Pure.

use std::time::{Duration, Instant};

use hostler_protocol::{
    Deadline, ErrorCode, Finish, GenerationRequest, RequestError, Retry, Timings, TokenEvent, TokenId, Usage,
};

/// The account of one answer.
#[derive(Debug)]
pub(crate) struct Ledger {
    tokens: Vec<TokenId>,
    /// Bytes of text that the reader has.
    shown_bytes: usize,
    /// Tokens that earlier schedulers generated.
    earlier: u32,
    prompt_tokens: u32,
    /// Most tokens that the answer can have.
    tokens_max: u32,
    moves: u32,
    moves_max: u32,
    movable: bool,
    deadline: Option<Deadline>,
    submitted: Instant,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

/// What to do with an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The reader gets it.
    Pass(TokenEvent),
    /// The reader has had one like it.
    Swallow,
    /// The scheduler failed: another one continues.
    Move(RequestError),
    /// The scheduler failed after the last token: nothing is left to generate.
    Complete(RequestError),
}

impl Ledger {
    /// The account of `request`, which a scheduler has taken. `room` is how many
    /// tokens prompt and answer may have together.
    pub(crate) fn new(
        request: &GenerationRequest,
        prompt_tokens: u32,
        room: u32,
        moves_max: u32,
        submitted: Instant,
    ) -> Self {
        let by_room = room.saturating_sub(prompt_tokens);
        Self {
            tokens: Vec::new(),
            shown_bytes: 0,
            earlier: 0,
            prompt_tokens,
            tokens_max: request.stop.max_tokens.map_or(by_room, |max| max.min(by_room)),
            moves: 0,
            moves_max,
            // A claim is on one scheduler: nobody else may do its work.
            movable: request.claim.is_none() && request.continuation.is_empty(),
            deadline: request.deadline,
            submitted,
            started: None,
            first_token: None,
        }
    }

    /// The tokens so far: what the next scheduler continues.
    pub(crate) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Whether it has been continued elsewhere.
    pub(crate) fn has_moved(&self) -> bool {
        self.moves > 0
    }

    /// Bytes of text that the reader has.
    pub(crate) fn shown_bytes(&self) -> usize {
        self.shown_bytes
    }

    /// What this event means.
    pub(crate) fn take(&mut self, event: TokenEvent, now: Instant) -> Verdict {
        match event {
            TokenEvent::Started(mut started) => {
                if self.started.is_some() {
                    return Verdict::Swallow;
                }
                self.started = Some(now);
                started.prompt_tokens = self.prompt_tokens;
                Verdict::Pass(TokenEvent::Started(started))
            }
            TokenEvent::Token(token) => {
                self.first_token.get_or_insert(now);
                self.tokens.push(token.id);
                self.shown_bytes += token.text.len();
                Verdict::Pass(TokenEvent::Token(token))
            }
            TokenEvent::Finished(finish) => Verdict::Pass(TokenEvent::Finished(self.finish(finish, now))),
            TokenEvent::Failed(error) => self.fail(error, now),
        }
    }

    /// What the last scheduler says of its part, as what is true of the whole.
    fn finish(&self, finish: Finish, now: Instant) -> Finish {
        if !self.has_moved() {
            return finish;
        }
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            // The last one also reuses what others generated; that is no part of the prompt.
            cached_tokens: finish.usage.cached_tokens.min(self.prompt_tokens),
            completion_tokens: self.earlier + finish.usage.completion_tokens,
        };
        Finish { usage, timings: self.timings(now), ..finish }
    }

    /// The account of an answer that is whole, though no scheduler said so.
    pub(crate) fn complete(&self, now: Instant) -> (Usage, Timings) {
        let completion_tokens = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        let usage = Usage { prompt_tokens: self.prompt_tokens, cached_tokens: 0, completion_tokens };
        (usage, self.timings(now))
    }

    fn fail(&mut self, error: RequestError, now: Instant) -> Verdict {
        let lost = matches!(error.code, ErrorCode::EngineFailed | ErrorCode::Unavailable);
        debug_assert!(!lost || error.code.retry() == Retry::Elsewhere);
        if !lost || !self.movable {
            return Verdict::Pass(TokenEvent::Failed(error));
        }
        if self.deadline.is_some_and(|deadline| deadline.has_passed(now)) {
            return Verdict::Pass(TokenEvent::Failed(RequestError::deadline_passed(format_args!(
                "as its scheduler failed: {}",
                error.message
            ))));
        }
        if self.tokens.len() >= self.tokens_max as usize {
            return Verdict::Complete(error);
        }
        if self.moves == self.moves_max {
            return Verdict::Pass(TokenEvent::Failed(match self.moves_max {
                0 => error,
                max => RequestError {
                    message: format!("{}; the answer had been moved {max} times already, the most", error.message),
                    ..error
                },
            }));
        }
        self.moves += 1;
        self.earlier = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        Verdict::Move(error)
    }

    /// Where the time went, as the reader saw it: the schedulers that failed took
    /// their own account with them.
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

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
