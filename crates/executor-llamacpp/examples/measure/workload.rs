//! The requests of the measurements.

use std::str::FromStr;

use hostler_executor::{ModelExecutor, Sequence};
use hostler_protocol::TokenId;

/// Rounds of a measurement; the result is their median.
pub(crate) const ROUNDS: usize = 5;

/// Requests of one round.
const REQUESTS: usize = 40;

/// Lengths of prompts and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// 24 in, 50 out.
    Like,
    /// 10 to 200 in, 10 to 100 out.
    Unlike,
}

impl Pattern {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "like" => Some(Self::Like),
            "unlike" => Some(Self::Unlike),
            _ => None,
        }
    }

    /// Prompt and answer tokens of the `index`-th request.
    fn lengths(self, index: usize) -> (usize, u32) {
        match self {
            Self::Like => (24, 50),
            // Strides that are coprime to the ranges visit all values.
            Self::Unlike => (10 + index * 83 % 191, 10 + (index * 37 % 91) as u32),
        }
    }
}

/// A setting from the environment.
pub(crate) fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A text of many words, in a different order for each `index`, so that no two prompts
/// share a prefix.
pub(crate) fn tokens(executor: &dyn ModelExecutor, index: usize, count: usize) -> Vec<TokenId> {
    const WORDS: [&str; 16] = [
        "river", "engine", "winter", "garden", "letter", "copper", "window", "doctor", "mountain", "ticket", "paper",
        "music", "harbour", "village", "kitchen", "signal",
    ];
    let mut text = String::new();
    let mut state = index * 7919 + 1;
    while text.len() < count * 8 {
        state = (state * 75 + 74) % 65_537;
        text.push_str(WORDS[state % WORDS.len()]);
        text.push(' ');
    }
    let mut tokens = executor.text().encode(&text, false).expect("it can be tokenized");
    tokens.truncate(count);
    tokens
}

/// The requests of one round; no two rounds share a prompt.
pub(crate) fn round(executor: &dyn ModelExecutor, pattern: Pattern, round: usize) -> Vec<Sequence> {
    (0..setting("REQUESTS").unwrap_or(REQUESTS))
        .map(|index| {
            let (prompt, answer) = pattern.lengths(index);
            let mut sequence = Sequence::greedy(tokens(executor, round * REQUESTS + index, prompt), answer);
            sequence.stop.ignore_eos = true;
            sequence
        })
        .collect()
}

/// Prints the rounds for other clients: JSON arrays of `{"prompt": [id…], "n_predict": n}`.
pub(crate) fn print(executor: &dyn ModelExecutor, pattern: Pattern) {
    let rounds: Vec<String> = (0..ROUNDS).map(|index| as_json(&round(executor, pattern, index))).collect();
    println!("[{}]", rounds.join(","));
}

fn as_json(requests: &[Sequence]) -> String {
    let requests: Vec<String> = requests
        .iter()
        .map(|sequence| format!(r#"{{"prompt":{:?},"n_predict":{}}}"#, &sequence.tokens, sequence.max_new_tokens))
        .collect();
    format!("[{}]", requests.join(","))
}
