//! Greedy answers are a function of their prompt, and of nothing else.

use crate::Sequence;
use crate::contract::report::ensure;
use crate::contract::{Completed, Subject, Violation};

pub(super) fn repeats(subject: &Subject) -> Result<(), Violation> {
    let first = subject.run(subject.greedy(0)?)?;
    for _ in 0..2 {
        same(&first, &subject.run(subject.greedy(0)?)?, "the same prompt")?;
    }
    let other = subject.run(subject.greedy(1)?)?;
    ensure!(first.ids() != other.ids(), "two unlike prompts have the same answer");
    Ok(())
}

/// The check that finds an engine whose rows leak into each other. The prompts
/// differ in every round's neighbours: each round begins with another one.
pub(super) fn concurrent_equals_solo(subject: &Subject) -> Result<(), Violation> {
    let sequences = subject.greedy_all()?;
    let solo = sequences.iter().map(|sequence| subject.run(sequence.clone())).collect::<Result<Vec<_>, _>>()?;
    for round in 0..subject.options().concurrent_rounds as usize {
        let order = (0..sequences.len()).map(|index| (index + round) % sequences.len()).collect::<Vec<_>>();
        let together = subject.run_together(order.iter().map(|&index| sequences[index].clone()).collect())?;
        for (&index, completed) in order.iter().zip(&together) {
            same(&solo[index], completed, &format!("prompt {index} alone and with neighbours, round {round}"))?;
        }
    }
    Ok(())
}

pub(super) fn continuation(subject: &Subject) -> Result<(), Violation> {
    for prompt in 0..2 {
        continues(subject, &subject.greedy(prompt)?)?;
    }
    Ok(())
}

/// That a sequence, cut after any token and handed over, goes on as if it had
/// not been cut: the same ids, and no text twice or missing.
pub(super) fn continues(subject: &Subject, sequence: &Sequence) -> Result<(), Violation> {
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
            "cut after {cut} tokens, it goes on with {:?} instead of {:?}",
            rest.ids(),
            &ids[cut..]
        );
        let shown: String = whole.tokens[..cut].iter().map(|token| token.text.as_str()).collect();
        let joined = shown + &rest.text();
        ensure!(joined == whole.text(), "cut after {cut} tokens, the text is {joined:?} instead of {:?}", whole.text());
        ensure!(
            rest.started.prompt_tokens == whole.started.prompt_tokens,
            "a continued answer counts as part of its prompt"
        );
    }
    Ok(())
}

/// That two runs gave the same answer.
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
