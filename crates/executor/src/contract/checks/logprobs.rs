//! Checks of log probabilities.

use std::collections::HashSet;

use hostler_protocol::SamplingParams;

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// Rounding error of 32-bit softmaxes over large vocabularies.
const ROUNDING: f32 = 1e-3;

pub(super) fn natural(subject: &Subject) -> Result<(), Violation> {
    let Some(most) = subject.description().capabilities.top_logprobs_max else { return Ok(()) };
    let plain = subject.run(subject.greedy(0)?)?;
    ensure!(plain.tokens.iter().all(|token| token.logprob.is_none()), "log probabilities were not requested");
    for (asked, greedy) in [(0, true), (most.min(5), true), (most, false)] {
        let mut sequence = subject.greedy(0)?;
        sequence.top_logprobs = Some(asked);
        if !greedy {
            sequence.sampling = SamplingParams { seed: Some(3), ..SamplingParams::default() };
        }
        let completed = subject.run(sequence)?;
        ensure!(!greedy || completed.ids() == plain.ids(), "requesting log probabilities changes the answer");
        for token in &completed.tokens {
            let Some(logprob) = &token.logprob else {
                return Err(Violation(format!("token {} has no log probability", token.id)));
            };
            let (own, top) = (logprob.logprob, &logprob.top);
            ensure!(own.is_finite() && own <= ROUNDING, "{own} is not the logarithm of a probability");
            ensure!(top.len() == asked as usize, "{} alternatives instead of {asked}", top.len());
            ensure!(top.is_sorted_by(|a, b| a.1 >= b.1), "the alternatives are not sorted: {top:?}");
            let distinct: HashSet<_> = top.iter().map(|(id, _)| id).collect();
            ensure!(distinct.len() == top.len(), "an alternative occurs twice: {top:?}");
            // Logarithms to base 10 would be too close to zero, and the sum too large.
            let sum: f32 = top.iter().map(|(_, log)| log.exp()).sum();
            ensure!(sum <= 1.0 + ROUNDING, "the probabilities of {top:?} add up to {sum}: not natural logarithms?");
            if let Some(&(_, listed)) = top.iter().find(|(id, _)| *id == token.id) {
                ensure!((listed - own).abs() <= ROUNDING, "token {} has two log probabilities", token.id);
            }
            ensure!(
                !greedy || top.first().is_none_or(|&(_, best)| (best - own).abs() <= ROUNDING),
                "the greedy token {} is not the likeliest of {top:?}",
                token.id
            );
        }
    }
    Ok(())
}

pub(super) fn rejected(subject: &Subject) -> Result<(), Violation> {
    let mut sequence = subject.greedy(0)?;
    let most = subject.description().capabilities.top_logprobs_max;
    sequence.top_logprobs = Some(most.map_or(0, |most| most + 1));
    subject.must_reject("more log probabilities than declared", sequence)
}
