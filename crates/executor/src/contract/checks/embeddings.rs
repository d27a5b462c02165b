//! Vectors that stand for texts.

use futures::future::join_all;
use hostler_protocol::{ErrorCode, TokenId};

use super::greedy::same;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// How far a vector's length may be from 1.
const LENGTH_ERROR_MAX: f32 = 1e-3;

/// Vectors of the same text point the same way: the cosine of their angle is at
/// least this. Texts that differ in one word are much further apart.
const SAME_COSINE_MIN: f32 = 0.9999;

pub(super) fn normalised(subject: &Subject) -> Result<(), Violation> {
    let description = subject.description();
    let Some(dimensions) = description.capabilities.embedding_dimensions else {
        return must_refuse(subject, "a text, where no embeddings are declared", subject.prompt(0)?);
    };
    let first = vector(subject, subject.prompt(0)?)?;
    ensure!(first.len() == dimensions as usize, "{} numbers where {dimensions} are declared", first.len());
    let length = dot(&first, &first).sqrt();
    ensure!((length - 1.0).abs() < LENGTH_ERROR_MAX, "a vector of length {length}");
    let again = vector(subject, subject.prompt(0)?)?;
    ensure!(dot(&first, &again) > SAME_COSINE_MIN, "the same text has another vector the second time");
    let other = vector(subject, subject.prompt(1)?)?;
    ensure!(dot(&first, &other) < SAME_COSINE_MIN, "two unlike texts have the same vector");

    let context = description.context_length as usize;
    let fitting = subject.prompt(0)?.into_iter().cycle().take(context).collect();
    vector(subject, fitting)?;
    let too_long = subject.prompt(0)?.into_iter().cycle().take(context + 1).collect();
    must_refuse(subject, "a text longer than the context", too_long)?;
    must_refuse(subject, "an empty text", Vec::new())?;
    must_refuse(subject, "a token outside the vocabulary", vec![0, description.vocabulary_size])
}

pub(super) fn beside_sequences(subject: &Subject) -> Result<(), Violation> {
    if subject.description().capabilities.embedding_dimensions.is_none() {
        return Ok(());
    }
    let (texts, sequences) = ([1, 2, 3], subject.greedy_all()?);
    let alone: Vec<_> =
        texts.iter().map(|&text| vector(subject, subject.prompt(text)?)).collect::<Result<_, Violation>>()?;
    for sequence in sequences.into_iter().take(2) {
        let solo = subject.run(sequence.clone())?;
        let beside = texts.iter().map(|&text| Ok(subject.executor().embed(subject.prompt(text)?)));
        let beside = beside.collect::<Result<Vec<_>, Violation>>()?;
        let together = subject.run(sequence)?;
        same(&solo, &together, "a sequence alone and beside embeddings")?;
        let beside = subject.wait("embeddings beside a sequence", join_all(beside))?;
        for (alone, beside) in alone.iter().zip(beside) {
            let beside =
                beside.map_err(|error| Violation(format!("an embedding beside a sequence failed: {error}")))?;
            ensure!(dot(alone, &beside) > SAME_COSINE_MIN, "a text has another vector beside a sequence");
        }
    }
    Ok(())
}

fn vector(subject: &Subject, tokens: Vec<TokenId>) -> Result<Vec<f32>, Violation> {
    subject.embed(tokens)?.map_err(|error| Violation(format!("a text has no vector: {error}")))
}

fn must_refuse(subject: &Subject, what: &str, tokens: Vec<TokenId>) -> Result<(), Violation> {
    match subject.embed(tokens)? {
        Err(error) if error.code == ErrorCode::InvalidRequest && !error.message.is_empty() => Ok(()),
        other => Err(Violation(format!("{what} must be refused as an invalid request, but: {other:?}"))),
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
