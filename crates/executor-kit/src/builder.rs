//! Validates sequences and creates their generations, on the caller's thread, so that the
//! engine's thread does not spend time on it.

use hostler_executor::text::{Answer, IncrementalDecoder};
use hostler_executor::{CompiledConstraint, Sequence, TokenSink};
use hostler_protocol::{ErrorCode, RequestError, TokenId};

use crate::constraint::{ConstraintCompiler, ConstraintState};
use crate::sampling::Sampler;
use crate::{Generation, Limits};

/// Builds the generations of one loaded model.
pub struct GenerationBuilder {
    /// The limits of the model.
    pub limits: Limits,
    /// The tokens that end the model's answers.
    pub end_tokens: Vec<TokenId>,
    /// Compiles the constraints of requests.
    pub constraints: ConstraintCompiler,
}

impl GenerationBuilder {
    /// Validates `sequence` and builds its generation. `decoder` must be new.
    ///
    /// Returns `None` if there is nothing to run, after reporting the end to `sink`: the
    /// sequence is invalid, or its last answered token already ended it.
    #[must_use]
    pub fn build(
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
                sink.finish_answer(&answer, String::new());
                None
            }
            Ok((answer, sampler)) => Some(Generation::new(sink, answer, sampler, sequence.max_new_tokens)),
        }
    }

    fn prepare(
        &self,
        sequence: &Sequence,
        decoder: Box<dyn IncrementalDecoder>,
    ) -> Result<(Answer, Sampler), RequestError> {
        self.limits.check(sequence)?;
        let answered = sequence.answer();
        let constraint = sequence.constraint.as_ref().map(of_this_engine).transpose()?;
        let answer = Answer::new(decoder, &sequence.stop, &self.end_tokens, answered)?;
        let sampler = Sampler::new(
            sequence.sampling.clone(),
            rand::random(),
            sequence.prompt(),
            answered,
            constraint,
            sequence.top_logprobs,
        );
        Ok((answer, sampler))
    }
}

fn of_this_engine(constraint: &CompiledConstraint) -> Result<ConstraintState, RequestError> {
    let another = || RequestError::new(ErrorCode::Internal, "the constraint was compiled by another engine");
    constraint.state().ok_or_else(another)
}
