//! The engine's end of a sequence's output.

use std::time::Instant;

use hostler_protocol::{ErrorCode, Finish, FinishReason, RequestError, Started, Timings, Token, TokenEvent, Usage};
use tokio::sync::mpsc;

use super::{CancelHandle, EndReport, EndState, SequenceObserver};

/// Room in the channel that no token may take: that of the last event.
const EVENTS_AFTER_TOKENS: usize = 1;

/// Where an engine puts what a sequence produces.
///
/// It counts tokens and takes times itself, so that every engine reports them in
/// the same way. It ends by [`finish`](Self::finish) or [`fail`](Self::fail); one
/// that is dropped without either reports an engine failure.
pub struct TokenSink {
    sender: mpsc::Sender<TokenEvent>,
    cancel: CancelHandle,
    observer: Option<Box<dyn SequenceObserver>>,
    usage: Usage,
    clock: Clock,
    ended: bool,
}

/// The instants that timings are made of.
#[derive(Clone, Copy)]
struct Clock {
    submitted: Instant,
    started: Option<Instant>,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
}

impl Clock {
    fn timings(&self, now: Instant) -> Timings {
        let started = self.started.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now);
        Timings {
            queue: started.saturating_duration_since(self.submitted),
            prefill: first_token.saturating_duration_since(started),
            decode: now.saturating_duration_since(first_token),
        }
    }
}

impl TokenSink {
    pub(super) fn new(
        sender: mpsc::Sender<TokenEvent>,
        cancel: CancelHandle,
        observer: Option<Box<dyn SequenceObserver>>,
        prompt_tokens: u32,
        submitted: Instant,
    ) -> Self {
        Self {
            sender,
            cancel,
            observer,
            usage: Usage { prompt_tokens, ..Usage::default() },
            clock: Clock { submitted, started: None, first_token: None, last_token: None },
            ended: false,
        }
    }

    /// Why the sequence shall stop now: it was cancelled, its time is up, or its
    /// reader is gone. The engine then calls [`fail`](Self::fail) with this code,
    /// or simply [`stop`](Self::stop).
    #[must_use]
    pub fn stop_requested(&self) -> Option<ErrorCode> {
        if self.sender.is_closed() {
            return Some(ErrorCode::Cancelled);
        }
        self.cancel.reason()
    }

    /// A handle that cancels this sequence.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// The engine begins: the prompt is read next.
    pub fn started(&mut self) {
        let now = Instant::now();
        self.clock.started = Some(now);
        if let Some(observer) = &mut self.observer {
            observer.started(now.saturating_duration_since(self.clock.submitted));
        }
        self.send(TokenEvent::Started(Started { prompt_tokens: self.usage.prompt_tokens }));
    }

    /// So many tokens of the prompt were already in the KV cache.
    pub fn reused(&mut self, cached_tokens: u32) {
        self.usage.cached_tokens = cached_tokens;
    }

    /// One generated token. One more than `max_new_tokens` is a fault of the
    /// engine: where it would take the last event's place in the channel, it is
    /// dropped, and the sequence asked to stop.
    pub fn token(&mut self, token: Token) {
        if self.sender.capacity() <= EVENTS_AFTER_TOKENS && !self.sender.is_closed() {
            tracing::error!(id = token.id, "an engine produced more tokens than the sequence may have");
            self.cancel.cancel();
            return;
        }
        let now = Instant::now();
        let before = self.clock.last_token.or(self.clock.started).unwrap_or(self.clock.submitted);
        if let Some(observer) = &mut self.observer {
            observer.token(self.usage.completion_tokens, now.saturating_duration_since(before));
        }
        self.clock.first_token.get_or_insert(now);
        self.clock.last_token = Some(now);
        self.usage.completion_tokens += 1;
        self.send(TokenEvent::Token(token));
    }

    /// Tokens generated so far.
    #[must_use]
    pub fn generated(&self) -> u32 {
        self.usage.completion_tokens
    }

    /// It ended as it should; `text` is what was held back and belongs to the answer.
    pub fn finish(mut self, reason: FinishReason, text: String) {
        let timings = self.clock.timings(Instant::now());
        let finish = Finish { reason, text, usage: self.usage, timings };
        self.end(TokenEvent::Finished(finish), EndState::Finished(reason), timings);
    }

    /// It ended in an error.
    pub fn fail(mut self, error: RequestError) {
        self.fail_in_place(error);
    }

    /// It was asked to stop, for the reason that [`stop_requested`](Self::stop_requested) gave.
    pub fn stop(self, code: ErrorCode) {
        self.fail(match code {
            ErrorCode::DeadlineExceeded => RequestError::deadline_passed("while it ran"),
            _ => RequestError { code, ..RequestError::cancelled() },
        });
    }

    fn fail_in_place(&mut self, error: RequestError) {
        let code = error.code;
        let timings = self.clock.timings(Instant::now());
        self.end(TokenEvent::Failed(error), EndState::Failed(code), timings);
    }

    fn end(&mut self, last: TokenEvent, state: EndState, timings: Timings) {
        self.ended = true;
        self.send(last);
        if let Some(mut observer) = self.observer.take() {
            let report = EndReport { state, usage: self.usage, timings, started: self.clock.started.is_some() };
            observer.ended(&report);
        }
    }

    /// The channel holds all that a sequence may produce, so the only failure is
    /// a reader that left: then nobody wants the event, and the engine learns of
    /// it by `stop_requested`.
    fn send(&self, event: TokenEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.sender.try_send(event) {
            tracing::error!(?event, "an engine produced more events than the sequence may have");
            self.cancel.cancel();
        }
    }
}

impl Drop for TokenSink {
    fn drop(&mut self) {
        if !self.ended {
            self.fail_in_place(RequestError::ended_without_final_event());
        }
    }
}
