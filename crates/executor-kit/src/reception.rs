//! Where sequences are checked and equipped, on the caller's thread: the engine's
//! own has other sequences to serve.

use hostler_executor::text::{Answer, IncrementalDecoder};
use hostler_executor::{CompiledConstraint, Sequence, TokenSink};
use hostler_protocol::{ErrorCode, FinishReason, RequestError, TokenId};

use crate::constraint::{ConstraintCompiler, ConstraintState};
use crate::sampling::Chooser;
use crate::{Generation, Limits};

/// What the sequences of one loaded model need.
pub struct Reception {
    /// What is refused.
    pub limits: Limits,
    /// The tokens that end the model's answers.
    pub end_tokens: Vec<TokenId>,
    /// Compiles what a request asks of its answer's form.
    pub constraints: ConstraintCompiler,
}

impl Reception {
    /// Checks `sequence` and equips it. `decoder` is a fresh one.
    ///
    /// Returns `None` where there is nothing to run, with the end told to `sink`: it
    /// was refused, or its last answered token had already ended it.
    #[must_use]
    pub fn admit(
        &self,
        sequence: &Sequence,
        mut sink: TokenSink,
        decoder: Box<dyn IncrementalDecoder>,
    ) -> Option<Generation> {
        match self.prepare(sequence, decoder) {
            Err(error) => {
                sink.fail(error);
                None
            }
            Ok((answer, _)) if answer.is_over() => {
                sink.started();
                sink.finish(FinishReason::Stop, String::new());
                None
            }
            Ok((answer, chooser)) => Some(Generation::new(sink, answer, chooser, sequence.max_new_tokens)),
        }
    }

    fn prepare(
        &self,
        sequence: &Sequence,
        decoder: Box<dyn IncrementalDecoder>,
    ) -> Result<(Answer, Chooser), RequestError> {
        self.limits.check(sequence)?;
        let answered = sequence.answer();
        let constraint = sequence.constraint.as_ref().map(of_this_engine).transpose()?;
        let answer = Answer::new(decoder, &sequence.stop, &self.end_tokens, answered)?;
        let chooser = Chooser::new(
            sequence.sampling.clone(),
            rand::random(),
            sequence.prompt(),
            answered,
            constraint,
            sequence.top_logprobs,
        );
        Ok((answer, chooser))
    }
}

fn of_this_engine(constraint: &CompiledConstraint) -> Result<ConstraintState, RequestError> {
    let another = || RequestError::new(ErrorCode::Internal, "the constraint was compiled by another engine");
    constraint.state().ok_or_else(another)
}
