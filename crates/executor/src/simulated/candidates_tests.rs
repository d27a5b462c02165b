//! The effects of the sampling parameters.

use std::collections::HashSet;

use super::*;

const POSITION: Position = Position { text: 5, last: 0, ends: false };

fn choose<'a>(sampling: &'a SamplingParams, edit: impl FnOnce(&mut Rules<'a>)) -> Choice {
    let mut rules = Rules { sampling, banned: &[], prompt: &[], answer: &[], top_logprobs: None, draw: 0.5 };
    edit(&mut rules);
    rules.choose(POSITION)
}

/// The tokens that any draw selects.
fn reachable(sampling: &SamplingParams) -> HashSet<TokenId> {
    (0..1_000).map(|draw| choose(sampling, |rules| rules.draw = draw as f32 / 1_000.0).token).collect()
}

#[test]
fn all_candidates_differ() {
    let logits = POSITION.logits();
    let distinct: HashSet<_> = logits.iter().map(|(token, _)| token).collect();
    assert_eq!(distinct.len() as u64, CONSIDERED);
}

#[test]
fn greedy_takes_the_likeliest_token_that_is_not_banned() {
    let greedy = SamplingParams::greedy();
    let first = choose(&greedy, |_| {}).token;
    assert_eq!(first, POSITION.likeliest());
    let banned = [first];
    let second = choose(&greedy, |rules| rules.banned = &banned).token;
    assert_eq!(second, POSITION.logits()[1].0);
    let end = Rules { sampling: &greedy, banned: &[END], prompt: &[], answer: &[], top_logprobs: None, draw: 0.0 };
    assert_eq!(end.choose(Position { ends: true, ..POSITION }).token, first);
}

#[test]
fn top_k_top_p_and_min_p_exclude_unlikely_tokens() {
    let neutral = SamplingParams::default();
    assert!(reachable(&neutral).len() > 6);
    assert_eq!(reachable(&SamplingParams { top_k: Some(2), ..neutral.clone() }).len(), 2);
    // The two likeliest have probabilities of 0.50 and 0.25, the third 0.12.
    assert_eq!(reachable(&SamplingParams { top_p: 0.6, ..neutral.clone() }).len(), 2);
    assert_eq!(reachable(&SamplingParams { min_p: 0.2, ..neutral.clone() }).len(), 3);
    assert_eq!(reachable(&SamplingParams { temperature: 0.01, ..neutral }).len(), 1);
}

#[test]
fn a_bias_adds_a_candidate_and_a_penalty_lowers_one() {
    let biased = SamplingParams { logit_bias: vec![(65, 100.0)], ..SamplingParams::greedy() };
    assert_eq!(choose(&biased, |_| {}).token, 65);
    let first = POSITION.likeliest();
    let seen = [first];
    for penalised in [
        SamplingParams { presence_penalty: 2.0, ..SamplingParams::greedy() },
        SamplingParams { frequency_penalty: 2.0, ..SamplingParams::greedy() },
    ] {
        assert_ne!(choose(&penalised, |rules| rules.answer = &seen).token, first);
        assert_eq!(choose(&penalised, |rules| rules.prompt = &seen).token, first);
    }
}
