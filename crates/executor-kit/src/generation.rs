//! A running sequence: logits in, events out.

use hostler_executor::TokenSink;
use hostler_executor::text::{Answer, Verdict};
use hostler_protocol::{ErrorCode, FinishReason, RequestError, Token, TokenId};

use crate::sampling::{Choice, Sampler, Scratch};

/// A validated sequence with its sampler and its output.
pub struct Generation {
    sink: TokenSink,
    answer: Answer,
    sampler: Sampler,
    max_new_tokens: u32,
}

/// How a generation ends.
#[derive(Debug)]
pub enum Ending {
    /// By an end of sequence or a stop sequence; the text is the held-back rest of the
    /// answer.
    Stopped(String),
    /// For another reason; all held-back text belongs to the answer.
    Finished(FinishReason),
    /// By a cancellation or a deadline.
    StopRequested(ErrorCode),
    /// In an error.
    Failed(RequestError),
}

impl Generation {
    /// A generation of at most `max_new_tokens`. Engines use [`GenerationBuilder::build`];
    /// their tests can do without.
    ///
    /// [`GenerationBuilder::build`]: crate::GenerationBuilder::build
    #[must_use]
    pub fn new(sink: TokenSink, answer: Answer, sampler: Sampler, max_new_tokens: u32) -> Self {
        Self { sink, answer, sampler, max_new_tokens }
    }

    /// The sink of its events, for [`TokenSink::started`] and the like.
    pub fn sink(&mut self) -> &mut TokenSink {
        &mut self.sink
    }

    /// Why the generation must stop now, if it must; then call [`end`](Self::end).
    #[must_use]
    pub fn stop_requested(&self) -> Option<ErrorCode> {
        self.sink.stop_requested()
    }

    /// Samples the next token from `logits`, one for each token of the vocabulary, and sends
    /// it. Returns the model's next input.
    ///
    /// # Errors
    /// The [`Ending`] to pass to [`end`](Self::end); there is no next input.
    pub fn next(&mut self, logits: &[f32], scratch: &mut Scratch) -> Result<TokenId, Ending> {
        if let Some(code) = self.sink.stop_requested() {
            return Err(Ending::StopRequested(code));
        }
        let (id, logprob) = match self.sampler.sample(logits, &self.answer, scratch) {
            Ok(Choice::Token { id, logprob }) => (id, logprob),
            Ok(Choice::NoToken) => return Err(self.without_token(logits)),
            Err(reason) => {
                let message = format!("the constraint cannot be applied to the next token: {reason}");
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
            return Err(Ending::Finished(FinishReason::Length));
        }
        Ok(id)
    }

    /// Sends the final event.
    pub fn end(self, ending: Ending) {
        let Self { sink, answer, .. } = self;
        match ending {
            Ending::Stopped(text) => sink.finish_answer(&answer, text),
            Ending::Finished(reason) => sink.finish(reason, answer.finish()),
            Ending::StopRequested(code) => sink.stop(code),
            Ending::Failed(error) => sink.fail(error),
        }
    }

    /// Ends the generation in an error.
    pub fn fail(self, error: RequestError) {
        self.end(Ending::Failed(error));
    }

    /// The ending if no token can be sampled. With a constraint, this means that the answer
    /// is complete. Otherwise, either the model's logits are NaN, which is a failure of the
    /// engine, or the request's own parameters exclude all tokens.
    fn without_token(&self, logits: &[f32]) -> Ending {
        if self.sampler.is_constrained() {
            return Ending::Finished(FinishReason::Stop);
        }
        let is_sound = |logit: &f32| logit.is_finite() || *logit == f32::NEG_INFINITY;
        if logits.iter().all(is_sound) && logits.iter().any(|logit| logit.is_finite()) {
            let message = "the request's sampling parameters exclude all tokens; use less extreme values";
            return Ending::Failed(RequestError::new(ErrorCode::InvalidRequest, message));
        }
        failed("the model's logits are not numbers".to_owned())
    }
}

fn failed(message: String) -> Ending {
    Ending::Failed(RequestError::new(ErrorCode::EngineFailed, message))
}
