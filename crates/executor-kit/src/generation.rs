//! One sequence under way: logits in, events out.

use hostler_executor::TokenSink;
use hostler_executor::text::{Answer, Verdict};
use hostler_protocol::{ErrorCode, FinishReason, RequestError, Token, TokenId};

use crate::sampling::{Choice, Chooser, Scratch};

/// A sequence that has been checked, with all that it needs to go on and to end.
pub struct Generation {
    sink: TokenSink,
    answer: Answer,
    chooser: Chooser,
    max_new_tokens: u32,
}

/// How a generation ends.
#[derive(Debug)]
pub enum Ending {
    /// By itself; this text was held back and belongs to the answer.
    Stopped(String),
    /// Without an ending of its own: all that was held back belongs to the answer.
    CutOff(FinishReason),
    /// It was asked to.
    Asked(ErrorCode),
    /// In an error.
    Failed(RequestError),
}

impl Generation {
    /// A generation of at most `max_new_tokens`. [`Reception::admit`] is the usual way
    /// to one; engines' own tests need no reception.
    ///
    /// [`Reception::admit`]: crate::Reception::admit
    #[must_use]
    pub fn new(sink: TokenSink, answer: Answer, chooser: Chooser, max_new_tokens: u32) -> Self {
        Self { sink, answer, chooser, max_new_tokens }
    }

    /// Where its events go: for [`TokenSink::started`] and the like.
    pub fn sink(&mut self) -> &mut TokenSink {
        &mut self.sink
    }

    /// Why it shall stop now, if it shall; then [`end`](Self::end) it.
    #[must_use]
    pub fn stop_requested(&self) -> Option<ErrorCode> {
        self.sink.stop_requested()
    }

    /// Chooses the next token from `logits`, one for each token of the vocabulary,
    /// and sends it. The token is the model's next input.
    ///
    /// # Errors
    /// The [`Ending`] to be passed to [`end`](Self::end): there is no next input.
    pub fn next(&mut self, logits: &[f32], scratch: &mut Scratch) -> Result<TokenId, Ending> {
        if let Some(code) = self.sink.stop_requested() {
            return Err(Ending::Asked(code));
        }
        let (id, logprob) = match self.chooser.choose(logits, &self.answer, scratch) {
            Ok(Choice::Token { id, logprob }) => (id, logprob),
            Ok(Choice::Nothing) => return Err(self.dead_end(logits)),
            Err(reason) => {
                let message = format!("the constraint cannot be followed any further: {reason}");
                return Err(Ending::Failed(RequestError::invalid("constraint", message)));
            }
        };
        let (text, stopped) = match self.answer.push(id) {
            Ok(Verdict::Show(text)) => (text, false),
            Ok(Verdict::StopSequence(text)) => (text, true),
            Ok(Verdict::EndOfSequence(text)) => return Err(Ending::Stopped(text)),
            Err(error) => return Err(failed(error.to_string())),
        };
        self.sink.token(Token { id, text, logprob });
        if stopped {
            return Err(Ending::Stopped(String::new()));
        }
        if self.sink.generated() >= self.max_new_tokens {
            return Err(Ending::CutOff(FinishReason::Length));
        }
        Ok(id)
    }

    /// Tells the reader how it ended.
    pub fn end(self, ending: Ending) {
        let Self { sink, answer, .. } = self;
        match ending {
            Ending::Stopped(text) => sink.finish(FinishReason::Stop, text),
            Ending::CutOff(reason) => sink.finish(reason, answer.finish()),
            Ending::Asked(code) => sink.stop(code),
            Ending::Failed(error) => sink.fail(error),
        }
    }

    /// Ends it in an error.
    pub fn fail(self, error: RequestError) {
        self.end(Ending::Failed(error));
    }

    /// No token can be chosen. A constraint is then fulfilled. Otherwise either the
    /// model computed no numbers, or the request's own parameters left none: only the
    /// first is the engine's failure.
    fn dead_end(&self, logits: &[f32]) -> Ending {
        if self.chooser.is_constrained() {
            return Ending::CutOff(FinishReason::Stop);
        }
        let is_sound = |logit: &f32| logit.is_finite() || *logit == f32::NEG_INFINITY;
        if logits.iter().all(is_sound) && logits.iter().any(|logit| logit.is_finite()) {
            let message = "no token is left after the request's sampling parameters; use less extreme values";
            return Ending::Failed(RequestError::new(ErrorCode::InvalidRequest, message));
        }
        failed("the model's logits are not numbers".to_owned())
    }
}

fn failed(message: String) -> Ending {
    Ending::Failed(RequestError::new(ErrorCode::EngineFailed, message))
}
