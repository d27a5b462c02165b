//! Checks that sequences that can never run are rejected, and do not affect others.

use super::determinism::same;
use crate::Sequence;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// Sequences that no engine can run, each with its defect.
fn impossible_sequences(subject: &Subject) -> Result<Vec<(&'static str, Sequence)>, Violation> {
    let prompt = subject.prompt(0)?;
    let context_length = subject.description().context_length;
    let vocabulary_size = subject.description().vocabulary_size;
    let beyond = |id| prompt.iter().copied().chain([id]).collect::<Vec<_>>();
    let too_long = prompt.iter().copied().cycle().take(context_length as usize + 1).collect::<Vec<_>>();
    let too_many = context_length + 1 - prompt.len() as u32;
    Ok(vec![
        ("an empty prompt", Sequence::greedy(Vec::new(), 4)),
        ("a token just outside the vocabulary", Sequence::greedy(beyond(vocabulary_size), 4)),
        ("a token far outside the vocabulary", Sequence::greedy(beyond(u32::MAX), 4)),
        ("a prompt longer than the context", Sequence::greedy(too_long, 1)),
        ("one token more than the context holds", Sequence::greedy(prompt.clone(), too_many)),
        ("more tokens than a u32 can count", Sequence::greedy(prompt, u32::MAX)),
    ])
}

pub(super) fn impossible(subject: &Subject) -> Result<(), Violation> {
    for (what, sequence) in impossible_sequences(subject)? {
        subject.must_reject(what, sequence)?;
    }
    // The largest sequence that fits is accepted.
    let prompt = subject.prompt(0)?;
    let room = subject.description().context_length - prompt.len() as u32;
    let (mut stream, watch) = subject.start_watched(&Sequence::greedy(prompt, room));
    subject.read_tokens(&mut stream, 1)?;
    drop(stream);
    watch.ended().map(drop)
}

pub(super) fn neighbours(subject: &Subject) -> Result<(), Violation> {
    let alone = subject.run(subject.greedy(0)?)?;
    if subject.max_sequences() < 2 {
        return Ok(());
    }
    for (what, sequence) in impossible_sequences(subject)? {
        let neighbour = subject.executor().generate(subject.greedy(0)?);
        subject.must_reject(what, sequence)?;
        let ended = subject.collect(neighbour)?;
        let ids: Vec<_> = ended.tokens.iter().map(|token| token.id).collect();
        ensure!(ended.last.is_ok(), "{what} made its neighbour fail: {:?}", ended.last);
        ensure!(ids == alone.ids(), "{what} changed its neighbour's answer");
    }
    same(&alone, &subject.run(subject.greedy(0)?)?, "before and after all rejections")
}
