//! A token at random: temperature, min-p, top-k, top-p, and one random number.

use hostler_protocol::{SamplingParams, TokenId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::argmax::largest;

/// So many candidates are sorted first when a nucleus is sought; it is rarely larger.
const NUCLEUS_GUESS: usize = 64;

/// Spreads neighbouring positions over all seeds (2^64 divided by the golden ratio).
const POSITION_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    id: TokenId,
    /// Its probability, relative to the likeliest token's.
    weight: f32,
}

/// The random number, from 0 to below 1, of one position of one answer.
pub(crate) fn uniform(seed: u64, position: u64) -> f64 {
    StdRng::seed_from_u64(seed ^ position.wrapping_mul(POSITION_STRIDE)).random()
}

/// The token that `uniform` draws; `None` if all logits are minus infinity.
/// `candidates` is a buffer.
///
/// Candidates are taken in the order of their ids, so that logits that differ by
/// rounding draw the same token but where `uniform` falls on a border.
pub(crate) fn draw(
    logits: &[f32],
    params: &SamplingParams,
    uniform: f64,
    candidates: &mut Vec<Candidate>,
) -> Option<TokenId> {
    collect(logits, params.temperature, params.min_p, candidates);
    if let Some(count) = params.top_k {
        keep_likeliest(candidates, count as usize);
    }
    if params.top_p < 1.0 {
        keep_nucleus(candidates, f64::from(params.top_p));
    }
    candidates.sort_unstable_by_key(|candidate| candidate.id);
    let mut left = uniform * total(candidates);
    for candidate in &*candidates {
        left -= f64::from(candidate.weight);
        if left < 0.0 {
            return Some(candidate.id);
        }
    }
    // Rounding left a crumb over: it belongs to the last one that has any weight.
    candidates.iter().rev().find(|candidate| candidate.weight > 0.0).map(|candidate| candidate.id)
}

/// All tokens that min-p admits, with their weights at this temperature.
fn collect(logits: &[f32], temperature: f32, min_p: f32, candidates: &mut Vec<Candidate>) {
    candidates.clear();
    let max = largest(logits);
    if max == f32::NEG_INFINITY {
        return;
    }
    let weighed = (0..).zip(logits).map(|(id, &logit)| Candidate { id, weight: ((logit - max) / temperature).exp() });
    candidates.extend(weighed.filter(|candidate| candidate.weight > 0.0 && candidate.weight >= min_p));
}

/// The `count` likeliest, in no order.
fn keep_likeliest(candidates: &mut Vec<Candidate>, count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, likelier);
        candidates.truncate(count);
    }
}

/// The smallest set of likeliest candidates whose probabilities reach `top_p`.
fn keep_nucleus(candidates: &mut Vec<Candidate>, top_p: f64) {
    let enough = top_p * total(candidates);
    let mut guess = NUCLEUS_GUESS;
    loop {
        let sorted = guess.min(candidates.len());
        if sorted < candidates.len() {
            candidates.select_nth_unstable_by(sorted, likelier);
        }
        candidates[..sorted].sort_unstable_by(likelier);
        let mut sum = 0.0;
        for (index, candidate) in candidates[..sorted].iter().enumerate() {
            sum += f64::from(candidate.weight);
            if sum >= enough {
                candidates.truncate(index + 1);
                return;
            }
        }
        if sorted == candidates.len() {
            return;
        }
        guess *= 8;
    }
}

/// The likelier first, of equals the one with the smaller id.
fn likelier(left: &Candidate, right: &Candidate) -> std::cmp::Ordering {
    right.weight.total_cmp(&left.weight).then(left.id.cmp(&right.id))
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Probabilities 0.1, 0.4, 0.2, 0.3.
    fn logits() -> Vec<f32> {
        [0.1_f32, 0.4, 0.2, 0.3].map(f32::ln).to_vec()
    }

    /// Which tokens come, over many random numbers, and how often.
    fn shares(params: &SamplingParams, logits: &[f32]) -> Vec<f64> {
        let draws = 10_000;
        let mut counts = vec![0_u32; logits.len()];
        let mut candidates = Vec::new();
        for position in 0..draws {
            let id = draw(logits, params, uniform(7, position), &mut candidates).expect("there are candidates");
            counts[id as usize] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / draws as f64).collect()
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.02)
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let params = SamplingParams::default();
        assert!(close(&shares(&params, &logits()), &[0.1, 0.4, 0.2, 0.3]));
        let hot = SamplingParams { temperature: 2.0, ..params };
        let roots: Vec<f64> = [0.1_f64, 0.4, 0.2, 0.3].iter().map(|p| p.sqrt()).collect();
        let sum: f64 = roots.iter().sum();
        let expected: Vec<f64> = roots.iter().map(|root| root / sum).collect();
        assert!(close(&shares(&hot, &logits()), &expected));
    }

    #[test]
    fn each_limit_cuts_off_the_unlikely() {
        let params = SamplingParams::default();
        let third = 1.0 / 7.0;
        let two = [0.0, 4.0 * third, 0.0, 3.0 * third];
        assert!(close(&shares(&SamplingParams { top_k: Some(2), ..params.clone() }, &logits()), &two));
        assert!(close(&shares(&SamplingParams { top_p: 0.7, ..params.clone() }, &logits()), &two));
        assert!(close(&shares(&SamplingParams { min_p: 0.7, ..params.clone() }, &logits()), &two));
        let all = [0.1, 0.4, 0.2, 0.3];
        assert!(close(&shares(&SamplingParams { top_k: Some(9), min_p: 0.1, ..params }, &logits()), &all));
    }

    #[test]
    fn the_random_number_depends_on_seed_and_position_only() {
        assert_eq!(uniform(3, 5).to_bits(), uniform(3, 5).to_bits());
        assert_ne!(uniform(3, 5).to_bits(), uniform(3, 6).to_bits());
        assert_ne!(uniform(3, 5).to_bits(), uniform(4, 5).to_bits());
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        let mut candidates = Vec::new();
        let params = SamplingParams { top_p: 0.5, top_k: Some(3), ..SamplingParams::default() };
        assert_eq!(draw(&[f32::NEG_INFINITY; 4], &params, 0.5, &mut candidates), None);
        assert_eq!(draw(&[], &params, 0.5, &mut candidates), None);
    }

    proptest! {
        #[test]
        fn the_nucleus_is_the_smallest_that_suffices(weights in proptest::collection::vec(0.001_f32..1.0, 1..700), top_p in 0.01_f64..0.999) {
            let mut candidates: Vec<Candidate> =
                (0..).zip(&weights).map(|(id, &weight)| Candidate { id, weight }).collect();
            let whole = total(&candidates);
            keep_nucleus(&mut candidates, top_p);
            let kept = total(&candidates);
            let least = candidates.iter().map(|candidate| candidate.weight).fold(f32::INFINITY, f32::min);
            prop_assert!(kept >= top_p * whole - 1e-6);
            prop_assert!(kept - f64::from(least) < top_p * whole + 1e-6);
            let left_out = weights.iter().filter(|&&weight| weight > least).count();
            prop_assert!(left_out < candidates.len());
        }
    }
}
