//! Checks of embeddings.

use futures::future::join_all;
use hostler_protocol::{ErrorCode, TokenId};

use super::determinism::same;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// Allowed deviation of a vector's length from 1.
const LENGTH_ERROR_MAX: f32 = 1e-3;

/// Vectors of the same text have at least this cosine similarity; those of texts that
/// differ in one word have much less.
const SAME_COSINE_MIN: f32 = 0.9999;

pub(super) fn normalised(subject: &Subject) -> Result<(), Violation> {
    let description = subject.description();
    let Some(dimensions) = description.capabilities.embedding_dimensions else {
        return must_reject(subject, "a text, where embeddings are not declared,", subject.prompt(0)?);
    };
    let first = vector(subject, subject.prompt(0)?)?;
    ensure!(first.len() == dimensions as usize, "{} dimensions where {dimensions} are declared", first.len());
    let length = dot(&first, &first).sqrt();
    ensure!((length - 1.0).abs() < LENGTH_ERROR_MAX, "a vector of length {length}");
    let again = vector(subject, subject.prompt(0)?)?;
    ensure!(dot(&first, &again) > SAME_COSINE_MIN, "the same text has a different vector the second time");
    let other = vector(subject, subject.prompt(1)?)?;
    ensure!(dot(&first, &other) < SAME_COSINE_MIN, "two different texts have the same vector");

    let context = description.context_length as usize;
    let fitting = subject.prompt(0)?.into_iter().cycle().take(context).collect();
    vector(subject, fitting)?;
    let too_long = subject.prompt(0)?.into_iter().cycle().take(context + 1).collect();
    must_reject(subject, "a text longer than the context", too_long)?;
    must_reject(subject, "an empty text", Vec::new())?;
    must_reject(subject, "a token outside the vocabulary", vec![0, description.vocabulary_size])
}

pub(super) fn with_sequences(subject: &Subject) -> Result<(), Violation> {
    if subject.description().capabilities.embedding_dimensions.is_none() {
        return Ok(());
    }
    let (texts, sequences) = ([1, 2, 3], subject.greedy_all()?);
    let alone: Vec<_> =
        texts.iter().map(|&text| vector(subject, subject.prompt(text)?)).collect::<Result<_, Violation>>()?;
    for sequence in sequences.into_iter().take(2) {
        let solo = subject.run(sequence.clone())?;
        let pending = texts.iter().map(|&text| Ok(subject.executor().embed(subject.prompt(text)?)));
        let pending = pending.collect::<Result<Vec<_>, Violation>>()?;
        let together = subject.run(sequence)?;
        same(&solo, &together, "a sequence alone and concurrent with embeddings")?;
        let concurrent = subject.wait("embeddings concurrent with a sequence", join_all(pending))?;
        for (alone, concurrent) in alone.iter().zip(concurrent) {
            let concurrent = concurrent
                .map_err(|error| Violation(format!("an embedding concurrent with a sequence failed: {error}")))?;
            let same = dot(alone, &concurrent) > SAME_COSINE_MIN;
            ensure!(same, "a text has a different vector concurrent with a sequence");
        }
    }
    Ok(())
}

fn vector(subject: &Subject, tokens: Vec<TokenId>) -> Result<Vec<f32>, Violation> {
    subject.embed(tokens)?.map_err(|error| Violation(format!("an embedding failed: {error}")))
}

fn must_reject(subject: &Subject, what: &str, tokens: Vec<TokenId>) -> Result<(), Violation> {
    match subject.embed(tokens)? {
        Err(error) if error.code == ErrorCode::InvalidRequest && !error.message.is_empty() => Ok(()),
        other => Err(Violation(format!("{what} must be rejected as an invalid request, but gave {other:?}"))),
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
