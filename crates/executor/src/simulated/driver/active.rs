//! A sequence in the engine.

use std::sync::Arc;

use hostler_protocol::{CacheScope, ErrorCode, FinishReason, RequestError, Token, TokenId};

use crate::simulated::chooser::Chooser;
use crate::simulated::codec::{Decoder, END};
use crate::simulated::probe::Held;
use crate::simulated::{FaultKind, SequenceFault};
use crate::text::{Answer, Verdict};
use crate::{Sequence, TokenSink};

/// A sequence in the engine, waiting or running.
pub(super) struct ActiveSequence {
    /// Counts it in the probe. Dropped before the sink reports the end, so that a client
    /// that has seen the end never finds the sequence still counted.
    held: Held,
    sink: TokenSink,
    answer: Answer,
    chooser: Chooser,
    cached_tokens: u32,
    max_new_tokens: u32,
    fault: Option<SequenceFault>,
}

/// What a sequence does after a step.
pub(super) enum Next {
    /// It got a token and continues.
    Continue,
    End(Ending),
    Stall,
    Panic,
}

/// How a sequence ends.
pub(super) enum Ending {
    /// The answer is over; the text is the held-back rest of it.
    Stopped(String),
    Length,
    Failed(RequestError),
}

impl ActiveSequence {
    /// `None` if the sequence ends immediately: it failed, or its answer is complete.
    pub(super) fn new(
        sequence: Sequence,
        mut sink: TokenSink,
        cached_tokens: u32,
        eos_after: Option<u32>,
        script: Option<Arc<[TokenId]>>,
        fault: Option<SequenceFault>,
        held: Held,
    ) -> Option<Self> {
        let answer = match Answer::new(Box::new(Decoder::default()), &sequence.stop, &[END], sequence.answer()) {
            Ok(answer) => answer,
            Err(error) => {
                sink.fail(error.into());
                return None;
            }
        };
        if answer.is_over() {
            sink.started();
            sink.finish_answer(&answer, String::new());
            return None;
        }
        let max_new_tokens = sequence.max_new_tokens;
        let chooser = Chooser::new(Arc::new(sequence), eos_after, script, rand::random());
        Some(Self { held, sink, answer, chooser, cached_tokens, max_new_tokens, fault })
    }

    pub(super) fn begin(&mut self) {
        self.sink.started();
        self.sink.reused(self.cached_tokens);
    }

    pub(super) fn stop_requested(&self) -> bool {
        self.sink.stop_requested().is_some()
    }

    /// Ends a sequence that was asked to stop.
    pub(super) fn stop(self) {
        let code = self.sink.stop_requested().unwrap_or(ErrorCode::Cancelled);
        drop(self.held);
        self.sink.stop(code);
    }

    /// The tokens of prompt and answer so far.
    pub(super) fn tokens(&self) -> Arc<[TokenId]> {
        self.chooser.tokens()
    }

    /// Who may reuse them.
    pub(super) fn cache_scope(&self) -> CacheScope {
        self.chooser.cache_scope()
    }

    /// Generates one token.
    pub(super) fn next(&mut self) -> Next {
        if let Some(fault) = self.fault.filter(|fault| self.sink.generated() >= fault.after_tokens) {
            return match fault.kind {
                FaultKind::Hang => Next::Stall,
                FaultKind::Panic => Next::Panic,
                FaultKind::Fail => Next::End(Ending::Failed(RequestError::new(
                    ErrorCode::EngineFailed,
                    "simulated fault: the engine failed this sequence",
                ))),
            };
        }
        let choice = self.chooser.choose(&self.answer);
        let verdict = match self.answer.push(choice.token) {
            Ok(verdict) => verdict,
            Err(error) => return Next::End(Ending::Failed(error.into())),
        };
        let (text, stops) = match verdict {
            Verdict::EndOfSequence(text) => return Next::End(Ending::Stopped(text)),
            Verdict::StopSequence(text) => (text, true),
            Verdict::Show(text) => (text, false),
        };
        self.chooser.push(choice.token);
        self.sink.token(Token { id: choice.token, text, logprob: choice.logprob });
        if stops {
            Next::End(Ending::Stopped(String::new()))
        } else if self.sink.generated() == self.max_new_tokens {
            Next::End(Ending::Length)
        } else {
            Next::Continue
        }
    }

    pub(super) fn end(self, ending: Ending) {
        drop(self.held);
        match ending {
            Ending::Stopped(text) => self.sink.finish_answer(&self.answer, text),
            Ending::Length => self.sink.finish(FinishReason::Length, self.answer.finish()),
            Ending::Failed(error) => self.sink.fail(error),
        }
    }
}
