//! Random sampling: temperature, min-p, top-k, top-p, and a draw from the remaining tokens.
//!
//! The draw is an exponential race (the Gumbel-max method without its logarithms): each
//! candidate gets a random arrival time, which depends only on the seed, the position and
//! its id, and the first one wins, so each token is drawn with its probability. Compared
//! with the inversion of a single random number, the result is much less sensitive to
//! rounding: logits that differ slightly, because another engine computed them or because
//! a prompt was processed in other chunks, almost always give the same answer.

use hostler_protocol::{SamplingParams, TokenId};

use super::vector::{exp, largest};

/// Number of candidates below which sorting replaces partitioning.
const SORTED_AT_ONCE: usize = 64;

/// Partitioning tries this fraction of the candidates first, because most nuclei are small.
const NUCLEUS_SHARE: usize = 4;

/// Number of candidates that are tested together, in code that the compiler vectorises.
const LANES: usize = 16;

/// 2^64 divided by the golden ratio, which spreads consecutive numbers.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A token that can be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    id: TokenId,
    /// Its probability, relative to that of the likeliest token.
    weight: f32,
}

/// The seed of the random numbers at one position of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PositionSeed(u64);

impl PositionSeed {
    pub(crate) fn new(seed: u64, position: u64) -> Self {
        Self(mix(mix(seed).wrapping_add(position)))
    }

    /// The random number of a candidate, above 0 and at most 1.
    fn number(self, id: TokenId) -> f64 {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        let bits = mix(self.0 ^ u64::from(id)) >> (u64::BITS - BITS);
        (bits + 1) as f64 / (1_u64 << BITS) as f64
    }
}

/// The finaliser of SplitMix64: every bit of the result depends on every bit of `number`.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(STRIDE);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The buffers of a draw.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The probability of each token relative to that of the likeliest one; 0 if excluded.
    weights: Vec<f32>,
    candidates: Vec<Candidate>,
}

/// Draws a token; `None` if all logits are minus infinity.
pub(crate) fn draw(
    logits: &[f32],
    params: &SamplingParams,
    seed: PositionSeed,
    buffers: &mut Buffers,
) -> Option<TokenId> {
    weigh(logits, params.temperature, &mut buffers.weights);
    if params.min_p == 0.0 && params.top_k.is_none() && params.top_p >= 1.0 {
        return race(&buffers.weights, seed);
    }
    let candidates = &mut buffers.candidates;
    candidates.clear();
    let weighed = (0..).zip(&buffers.weights).map(|(id, &weight)| Candidate { id, weight });
    candidates.extend(weighed.filter(|candidate| candidate.weight > 0.0 && candidate.weight >= params.min_p));
    if let Some(count) = params.top_k {
        keep_likeliest(candidates, count as usize);
    }
    if params.top_p < 1.0 {
        keep_nucleus(candidates, f64::from(params.top_p));
    }
    let mut race = Race::new(seed);
    candidates.iter().for_each(|candidate| race.enter(candidate.id, candidate.weight));
    race.winner
}

/// Computes the weights of all tokens at this temperature.
fn weigh(logits: &[f32], temperature: f32, weights: &mut Vec<f32>) {
    weights.clear();
    let max = largest(logits);
    if max > f32::NEG_INFINITY {
        let sharpness = temperature.recip();
        weights.extend(logits.iter().map(|&logit| exp((logit - max) * sharpness)));
    }
}

/// The winner among all tokens.
fn race(weights: &[f32], seed: PositionSeed) -> Option<TokenId> {
    let mut race = Race::new(seed);
    for (chunk, first) in weights.chunks(LANES).zip((0..).step_by(LANES)) {
        // Branchless, so that it is vectorised; usually no candidate of a chunk may win.
        let may_win = |open: bool, (id, &weight)| open | race.may_win(id, weight);
        if (first..).zip(chunk).fold(false, may_win) {
            (first..).zip(chunk).for_each(|(id, &weight)| race.enter(id, weight));
        }
    }
    race.winner
}

/// An exponential race: the arrival time of a candidate is exponentially distributed, with
/// its weight as the rate, and the first one wins.
struct Race {
    seed: PositionSeed,
    winner: Option<TokenId>,
    best: f64,
}

impl Race {
    fn new(seed: PositionSeed) -> Self {
        Self { seed, winner: None, best: f64::INFINITY }
    }

    /// Whether the candidate may win. Since `-ln(x)` is at least `1 - x`, most candidates can
    /// be excluded without computing a logarithm.
    fn may_win(&self, id: TokenId, weight: f32) -> bool {
        1.0 - self.seed.number(id) < f64::from(weight) * self.best
    }

    fn enter(&mut self, id: TokenId, weight: f32) {
        if self.may_win(id, weight) {
            let time = -self.seed.number(id).ln() / f64::from(weight);
            if time < self.best {
                (self.winner, self.best) = (Some(id), time);
            }
        }
    }
}

/// Keeps the `count` likeliest candidates, unordered.
fn keep_likeliest(candidates: &mut Vec<Candidate>, count: usize) {
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, likelier);
        candidates.truncate(count);
    }
}

/// Keeps the smallest set of likeliest candidates whose probabilities reach `top_p`.
///
/// It locates the boundary by partitioning, and only sorts the candidates around it,
/// because a nucleus may contain most of the vocabulary.
fn keep_nucleus(candidates: &mut Vec<Candidate>, top_p: f64) {
    let enough = top_p * total(candidates);
    // Candidates before `inside` are in the nucleus, those from `outside` on are not.
    let (mut inside, mut outside, mut sum) = (0, candidates.len(), 0.0);
    while outside - inside > SORTED_AT_ONCE {
        let part = (outside - inside) / NUCLEUS_SHARE;
        let undecided = &mut candidates[inside..outside];
        undecided.select_nth_unstable_by(part, likelier);
        let likelier_part = total(&undecided[..part]);
        if sum + likelier_part >= enough {
            outside = inside + part;
        } else {
            inside += part;
            sum += likelier_part;
        }
    }
    candidates[inside..outside].sort_unstable_by(likelier);
    for index in inside..outside {
        sum += f64::from(candidates[index].weight);
        if sum >= enough {
            candidates.truncate(index + 1);
            return;
        }
    }
    candidates.truncate(outside);
}

/// Orders likelier candidates first, equal ones by id.
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

    /// The frequency of each token over many draws.
    fn shares(params: &SamplingParams, logits: &[f32]) -> Vec<f64> {
        let draws = 10_000;
        let mut counts = vec![0_u32; logits.len()];
        let mut buffers = Buffers::default();
        for position in 0..draws {
            let id = draw(logits, params, PositionSeed::new(7, position), &mut buffers).expect("there are candidates");
            counts[id as usize] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / draws as f64).collect()
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.02)
    }

    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        let params = SamplingParams::default();
        assert!(close(&shares(&params, &logits()), &[0.1, 0.4, 0.2, 0.3]));
        let hot = SamplingParams { temperature: 2.0, ..params };
        let roots: Vec<f64> = [0.1_f64, 0.4, 0.2, 0.3].iter().map(|p| p.sqrt()).collect();
        let sum: f64 = roots.iter().sum();
        let expected: Vec<f64> = roots.iter().map(|root| root / sum).collect();
        assert!(close(&shares(&hot, &logits()), &expected));
    }

    #[test]
    fn each_limit_excludes_unlikely_tokens() {
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
    fn random_numbers_depend_on_seed_position_and_token_only() {
        let number = |seed, position, id| PositionSeed::new(seed, position).number(id).to_bits();
        assert_eq!(number(3, 5, 1), number(3, 5, 1));
        assert_ne!(number(3, 5, 1), number(3, 6, 1));
        assert_ne!(number(3, 5, 1), number(4, 5, 1));
        assert_ne!(number(3, 5, 1), number(3, 5, 2));
    }

    #[test]
    fn random_numbers_are_uniform() {
        let numbers: Vec<f64> =
            (0..100_u32).flat_map(|id| (0..100).map(move |at| PositionSeed::new(1, at).number(id))).collect();
        for tenth in 0..10 {
            let range = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
            let inside = numbers.iter().filter(|number| range.contains(number)).count();
            assert!((900..1_100).contains(&inside), "{inside} of 10,000 in {range:?}");
        }
    }

    /// Logits that differ by rounding rarely draw a different token, even if there are many
    /// unlikely tokens. Continued answers depend on that.
    #[test]
    fn small_noise_rarely_changes_the_draw() {
        let logits: Vec<f32> = (0..5_000).map(|id| ((id * 7_919) % 1_009) as f32 / 100.0).collect();
        let noisy: Vec<f32> = logits.iter().zip(0..).map(|(l, id)| l + ((id % 7) as f32 - 3.0) / 3_000.0).collect();
        let params = SamplingParams::default();
        let mut buffers = Buffers::default();
        let mut draw = |logits: &[f32], at| draw(logits, &params, PositionSeed::new(1, at), &mut buffers);
        let changed = (0..2_000).filter(|&at| draw(&logits, at) != draw(&noisy, at)).count();
        assert!(changed < 10, "{changed} of 2,000 draws changed");
    }

    #[test]
    fn no_token_is_drawn_without_candidates() {
        let mut buffers = Buffers::default();
        let limited = SamplingParams { top_p: 0.5, top_k: Some(3), ..SamplingParams::default() };
        for params in [limited, SamplingParams::default()] {
            assert_eq!(draw(&[f32::NEG_INFINITY; 4], &params, PositionSeed::new(1, 1), &mut buffers), None);
            assert_eq!(draw(&[], &params, PositionSeed::new(1, 1), &mut buffers), None);
        }
    }

    /// The fast path without limits draws the same tokens as the general one, and no
    /// excluded token.
    #[test]
    fn limits_that_exclude_nothing_do_not_change_the_draw() {
        let logits: Vec<f32> = (0..1_003)
            .map(|id| if id % 3 == 0 { f32::NEG_INFINITY } else { ((id * 7_919) % 1_009) as f32 / 100.0 })
            .collect();
        let free = SamplingParams::default();
        let limited = SamplingParams { top_k: Some(100_000), ..free.clone() };
        let mut buffers = Buffers::default();
        for at in 0..500 {
            let drawn = draw(&logits, &free, PositionSeed::new(1, at), &mut buffers);
            assert_eq!(drawn, draw(&logits, &limited, PositionSeed::new(1, at), &mut buffers));
            assert!(drawn.is_some_and(|id| id % 3 != 0));
        }
    }

    proptest! {
        #[test]
        fn the_nucleus_is_the_smallest_sufficient_set(weights in proptest::collection::vec(0.001_f32..1.0, 1..700), top_p in 0.01_f64..0.999) {
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
