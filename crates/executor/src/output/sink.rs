//! The engine's end of the output channel.

use std::sync::Arc;
use std::time::Instant;

use hostler_protocol::{ErrorCode, Finish, FinishReason, RequestError, Started, Timings, Token, TokenEvent, Usage};
use tokio::sync::mpsc;

use super::{CancelHandle, EndReport, EndState, SequenceObserver, TokenStream};
use crate::Sequence;
use crate::text::Answer;

/// Events of a sequence that are not tokens: `Started`, and `Finished` or `Failed`.
const EVENTS_WITHOUT_TOKENS: usize = 2;

/// Capacity of the channel that is reserved for the final event.
const EVENTS_AFTER_TOKENS: usize = 1;

/// Sends the events of a sequence.
///
/// It counts tokens and measures times itself, so that all engines report them in
/// the same way. [`finish`](Self::finish) or [`fail`](Self::fail) ends it; a sink
/// that is dropped before reports an engine failure.
pub struct TokenSink {
    sender: mpsc::Sender<TokenEvent>,
    cancel: CancelHandle,
    observer: Option<Box<dyn SequenceObserver>>,
    usage: Usage,
    clock: Clock,
    ended: bool,
}

/// The instants from which the timings are computed.
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

/// Creates the output channel of a sequence. The time from this call until
/// [`TokenSink::started`] counts as time in the queue.
#[must_use]
pub fn token_channel(sequence: &Sequence, observer: Option<Box<dyn SequenceObserver>>) -> (TokenSink, TokenStream) {
    let capacity = sequence.max_new_tokens as usize + EVENTS_WITHOUT_TOKENS;
    let (sender, receiver) = mpsc::channel(capacity);
    let cancel = CancelHandle(Arc::default());
    let prompt_tokens = u32::try_from(sequence.prompt().len()).unwrap_or(u32::MAX);
    let sink = TokenSink {
        sender,
        cancel: cancel.clone(),
        observer,
        usage: Usage { prompt_tokens, ..Usage::default() },
        clock: Clock { submitted: Instant::now(), started: None, first_token: None, last_token: None },
        ended: false,
    };
    (sink, TokenStream { receiver, cancel })
}

impl TokenSink {
    /// Why the sequence must stop now: it was cancelled, its deadline has passed, or
    /// its stream was dropped. The engine then calls [`stop`](Self::stop) with this code.
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

    /// The engine starts the sequence: its prefill is next.
    pub fn started(&mut self) {
        let now = Instant::now();
        self.clock.started = Some(now);
        if let Some(observer) = &mut self.observer {
            observer.started(now.saturating_duration_since(self.clock.submitted));
        }
        self.send(TokenEvent::Started(Started { prompt_tokens: self.usage.prompt_tokens }));
    }

    /// Records how many tokens of the prompt were already in the KV cache.
    pub fn reused(&mut self, cached_tokens: u32) {
        self.usage.cached_tokens = cached_tokens;
    }

    /// Sends a generated token. An engine that sends more than `max_new_tokens` is
    /// faulty: a token that would take the capacity of the final event is dropped,
    /// and the sequence is cancelled.
    pub fn token(&mut self, token: Token) {
        if self.sender.capacity() <= EVENTS_AFTER_TOKENS && !self.sender.is_closed() {
            tracing::error!(id = token.id, "engine produced more tokens than max_new_tokens");
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

    /// Number of tokens generated so far.
    #[must_use]
    pub fn generated(&self) -> u32 {
        self.usage.completion_tokens
    }

    /// Ends the sequence in success; `text` is the held-back rest of the answer.
    pub fn finish(self, reason: FinishReason, text: String) {
        self.succeed(reason, text, None);
    }

    /// Ends the sequence because its answer is over, as [`finish`](Self::finish) does, and reports
    /// the stop sequence that ended it, if one did.
    pub fn finish_answer(self, answer: &Answer, text: String) {
        self.succeed(FinishReason::Stop, text, answer.stop_sequence().map(str::to_owned));
    }

    fn succeed(mut self, reason: FinishReason, text: String, stop_sequence: Option<String>) {
        let timings = self.clock.timings(Instant::now());
        let finish = Finish { reason, text, stop_sequence, usage: self.usage, timings };
        self.end(TokenEvent::Finished(finish), EndState::Finished(reason), timings);
    }

    /// Ends the sequence in an error.
    pub fn fail(mut self, error: RequestError) {
        self.fail_in_place(error);
    }

    /// Ends the sequence with the code that [`stop_requested`](Self::stop_requested) returned.
    pub fn stop(self, code: ErrorCode) {
        self.fail(match code {
            ErrorCode::DeadlineExceeded => RequestError::deadline_passed("during generation"),
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

    /// The channel has capacity for every event, so sending fails only after the
    /// stream was dropped: the event is discarded, and `stop_requested` tells the
    /// engine.
    fn send(&self, event: TokenEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.sender.try_send(event) {
            tracing::error!(?event, "engine produced more events than the channel can hold");
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
