//! Checks that an answer depends on its prompt only, or on its prompt and its seed.

use hostler_protocol::SamplingParams;

use crate::Sequence;
use crate::contract::report::ensure;
use crate::contract::{Completed, Subject, Violation};

pub(super) fn greedy(subject: &Subject) -> Result<(), Violation> {
    let first = subject.run(subject.greedy(0)?)?;
    for _ in 0..2 {
        same(&first, &subject.run(subject.greedy(0)?)?, "the same prompt")?;
    }
    let other = subject.run(subject.greedy(1)?)?;
    ensure!(first.ids() != other.ids(), "two different prompts have the same answer");
    Ok(())
}

/// Finds an engine in which sequences of a batch affect each other. Each round begins
/// with a different prompt, so that the prompts have different neighbours.
pub(super) fn concurrent(subject: &Subject) -> Result<(), Violation> {
    let sequences = subject.greedy_all()?;
    let solo = sequences.iter().map(|sequence| subject.run(sequence.clone())).collect::<Result<Vec<_>, _>>()?;
    for round in 0..subject.options().concurrent_rounds as usize {
        let order = (0..sequences.len()).map(|index| (index + round) % sequences.len()).collect::<Vec<_>>();
        let together = subject.run_together(order.iter().map(|&index| sequences[index].clone()).collect())?;
        for (&index, completed) in order.iter().zip(&together) {
            same(&solo[index], completed, &format!("prompt {index} alone and in a batch, round {round}"))?;
        }
    }
    Ok(())
}

pub(super) fn greedy_continuation(subject: &Subject) -> Result<(), Violation> {
    for prompt in 0..2 {
        continues(subject, &subject.greedy(prompt)?)?;
    }
    Ok(())
}

fn seeded_sequence(subject: &Subject, seed: u64) -> Result<Sequence, Violation> {
    let mut sequence = subject.greedy(1)?;
    sequence.sampling = SamplingParams { seed: Some(seed), ..SamplingParams::default() };
    Ok(sequence)
}

pub(super) fn seeded(subject: &Subject) -> Result<(), Violation> {
    let alone = subject.run(seeded_sequence(subject, 7)?)?;
    same(&alone, &subject.run(seeded_sequence(subject, 7)?)?, "the same seed twice")?;

    let mut together = subject.greedy_all()?;
    together.insert(1, seeded_sequence(subject, 7)?);
    let together = subject.run_together(together)?;
    same(&alone, &together[1], "the same seed alone and in a batch")?;

    for other in [8, 9, u64::MAX] {
        let other = subject.run(seeded_sequence(subject, other)?)?;
        ensure!(other.ids() != alone.ids(), "a different seed gives the same answer: {:?}", alone.text());
    }
    let mut unseeded = seeded_sequence(subject, 0)?;
    unseeded.sampling.seed = None;
    let [first, second] = [subject.run(unseeded.clone())?, subject.run(unseeded)?];
    ensure!(first.ids() != second.ids(), "without a seed, two answers are the same: {:?}", first.text());
    Ok(())
}

pub(super) fn seeded_continuation(subject: &Subject) -> Result<(), Violation> {
    continues(subject, &seeded_sequence(subject, 7)?)
}

/// Checks that a sequence that is interrupted after any token and continued elsewhere
/// gives the same ids as the whole one, and that no text is missing or repeated.
fn continues(subject: &Subject, sequence: &Sequence) -> Result<(), Violation> {
    let whole = subject.run(sequence.clone())?;
    let ids = whole.ids();
    for cut in 1..ids.len() {
        let mut rest = sequence.clone();
        rest.tokens = sequence.tokens.iter().chain(&ids[..cut]).copied().collect();
        rest.answered = cut;
        rest.max_new_tokens = sequence.max_new_tokens - cut as u32;
        let rest = subject.run(rest)?;
        ensure!(
            rest.ids() == ids[cut..],
            "cut after {cut} tokens, it continues with {:?} instead of {:?}",
            rest.ids(),
            &ids[cut..]
        );
        let shown: String = whole.tokens[..cut].iter().map(|token| token.text.as_str()).collect();
        let joined = shown + &rest.text();
        ensure!(joined == whole.text(), "cut after {cut} tokens, the text is {joined:?} instead of {:?}", whole.text());
        ensure!(
            rest.started.prompt_tokens == whole.started.prompt_tokens,
            "the answer so far is counted as part of the prompt"
        );
    }
    Ok(())
}

/// Checks that two runs gave the same answer.
pub(super) fn same(first: &Completed, second: &Completed, what: &str) -> Result<(), Violation> {
    ensure!(first.ids() == second.ids(), "{what}: {:?}, then {:?}", first.text(), second.text());
    ensure!(first.text() == second.text(), "{what}: the same tokens, but {:?}, then {:?}", first.text(), second.text());
    ensure!(
        first.finish.reason == second.finish.reason,
        "{what}: it ended by {:?}, then by {:?}",
        first.finish.reason,
        second.finish.reason
    );
    Ok(())
}
