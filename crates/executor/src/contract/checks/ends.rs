//! Checks of how an answer ends.

use hostler_protocol::FinishReason;

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

pub(super) fn length(subject: &Subject) -> Result<(), Violation> {
    let mut sequence = subject.greedy(0)?;
    let longest = subject.run(sequence.clone())?;
    for length in [1, 2, 7, sequence.max_new_tokens] {
        sequence.max_new_tokens = length;
        let completed = subject.run(sequence.clone())?;
        ensure!(completed.finish.reason == FinishReason::Length, "{length} tokens: {:?}", completed.finish.reason);
        let wanted = length as usize;
        ensure!(completed.tokens.len() == wanted, "{} tokens instead of {length}", completed.tokens.len());
        ensure!(completed.ids() == longest.ids()[..wanted], "a shorter answer is not a prefix of the longer one");
    }
    let prompt_tokens = sequence.tokens.len() as u32;
    let counted = longest.started.prompt_tokens;
    ensure!(counted == prompt_tokens, "{prompt_tokens} prompt tokens were counted as {counted}");
    Ok(())
}

pub(super) fn stop_sequence(subject: &Subject) -> Result<(), Violation> {
    let mut sequence = subject.greedy(1)?;
    let whole = subject.run(sequence.clone())?;
    let text = whole.text();
    let chars: Vec<char> = text.chars().collect();
    ensure!(chars.len() >= 8, "{text:?} is too short to stop in its middle");
    // From the middle of the answer, where stop sequences begin and end inside tokens.
    let middle = chars.len() / 2;
    for length in [1, 3, 4] {
        let stop: String = chars[middle..middle + length].iter().collect();
        let at = text.find(&stop).ok_or_else(|| Violation("a text does not contain its own middle".into()))?;
        sequence.stop.sequences = vec!["\u{1}never\u{1}".into(), stop.clone()];
        let stopped = subject.run(sequence.clone())?;
        ensure!(stopped.finish.reason == FinishReason::Stop, "stop {stop:?}: {:?}", stopped.finish.reason);
        let reported = stopped.finish.stop_sequence.as_deref();
        ensure!(reported == Some(&*stop), "stop {stop:?} is reported as {reported:?}");
        ensure!(stopped.text() == text[..at], "stop {stop:?}: {:?} instead of {:?}", stopped.text(), &text[..at]);
        ensure!(whole.ids().starts_with(&stopped.ids()), "stop {stop:?} changes the answer that precedes it");
    }
    Ok(())
}

pub(super) fn stop_token(subject: &Subject) -> Result<(), Violation> {
    let mut sequence = subject.greedy(2)?;
    let ids = subject.run(sequence.clone())?.ids();
    let stop = ids[ids.len() / 2];
    let at = ids.iter().position(|&id| id == stop).unwrap_or(ids.len());
    sequence.stop.token_ids = vec![stop];
    let stopped = subject.run(sequence)?;
    ensure!(stopped.finish.reason == FinishReason::Stop, "stop token {stop}: {:?}", stopped.finish.reason);
    let reported = stopped.finish.stop_sequence.as_deref();
    ensure!(reported.is_none(), "stop token {stop} is reported as the stop sequence {reported:?}");
    ensure!(stopped.ids() == ids[..at], "stop token {stop}: {:?} instead of {:?}", stopped.ids(), &ids[..at]);
    let decoded = subject.executor().text().decode(&ids[..at]);
    let decoded = decoded.map_err(|error| Violation(format!("cannot decode its own tokens: {error}")))?;
    ensure!(stopped.text() == decoded, "stop token {stop}: text {:?} instead of {decoded:?}", stopped.text());
    Ok(())
}

pub(super) fn min_tokens(subject: &Subject) -> Result<(), Violation> {
    let mut sequence = subject.greedy(3)?;
    let first = subject.run(sequence.clone())?.ids()[0];
    sequence.stop.token_ids = vec![first];
    sequence.stop.min_tokens = 5;
    let completed = subject.run(sequence)?;
    let ids = completed.ids();
    ensure!(ids.len() >= 5, "it ended after {} tokens, before min_tokens = 5", ids.len());
    ensure!(!ids[..5].contains(&first), "stop token {first} was sampled before min_tokens = 5: {ids:?}");
    ensure!(!ids.contains(&first), "after min_tokens, stop token {first} did not end the answer: {ids:?}");
    Ok(())
}

pub(super) fn ignore_eos(subject: &Subject) -> Result<(), Violation> {
    for prompt in 0..4 {
        let mut sequence = subject.greedy(prompt)?;
        sequence.max_new_tokens = 2 * subject.options().answer_tokens;
        let ignored = subject.run(sequence.clone())?;
        ensure!(
            ignored.tokens.len() == sequence.max_new_tokens as usize,
            "with ignore_eos it ended after {} of {} tokens",
            ignored.tokens.len(),
            sequence.max_new_tokens
        );
        sequence.stop.ignore_eos = false;
        let respected = subject.run(sequence)?;
        ensure!(ignored.ids().starts_with(&respected.ids()), "ignore_eos changes the answer before its end");
        let ended = respected.finish.reason == FinishReason::Stop;
        ensure!(ended == (respected.tokens.len() < ignored.tokens.len()), "the end of sequence counts as a token");
    }
    Ok(())
}
