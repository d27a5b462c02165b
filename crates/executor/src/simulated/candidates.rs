//! The made-up distribution of the next token, and sampling from it.
//!
//! Bans, bias, penalties, temperature, top-k, top-p and min-p have their usual
//! meaning.

use hostler_protocol::{Logprob, SamplingParams, TokenId};

use super::codec::{END, FIRST_WORD, WORDS};

/// Tokens with a probability above 0: more than a request can ban (an end of sequence
/// and 16 stop tokens) and request log probabilities of ([`TOP_LOGPROBS_MAX`]) together.
const CONSIDERED: u64 = 48;

/// Largest `top_logprobs`.
pub(super) const TOP_LOGPROBS_MAX: u32 = 20;

/// Difference between the logits of consecutive candidates: the likeliest one has half
/// of the probability.
const LOGIT_STEP: f32 = 0.7;

/// The two bytes of `é`, each a token. Answers contain some, so that incomplete
/// characters occur.
const SPLIT_CHARACTER: [TokenId; 2] = [0xc3, 0xa9];

/// One in this many words is followed by [`SPLIT_CHARACTER`].
const SPLIT_CHARACTER_EVERY: u64 = 16;

/// The position in a text: everything that the next token's distribution depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// A hash of all previous tokens.
    pub(super) text: u64,
    /// The previous token.
    pub(super) last: TokenId,
    /// Whether the likeliest token is the end of sequence.
    pub(super) ends: bool,
}

impl Position {
    /// The likeliest token.
    pub(super) fn likeliest(self) -> TokenId {
        if self.ends {
            return END;
        }
        self.word(0)
    }

    /// The candidates with their logits, likeliest first.
    fn logits(self) -> Vec<(TokenId, f32)> {
        let end = self.ends.then_some(END);
        let words = (0..CONSIDERED).map(|rank| self.word(rank));
        let logit = |(rank, token)| (token, -LOGIT_STEP * rank as f32);
        end.into_iter().chain(words).enumerate().map(logit).collect()
    }

    /// The `rank`-th likeliest word (or half of a character). All ranks differ, because
    /// an odd stride visits every residue of a power of two.
    fn word(self, rank: u64) -> TokenId {
        if rank == 0 && self.last == SPLIT_CHARACTER[0] {
            return SPLIT_CHARACTER[1];
        }
        let hash = mix(self.text);
        if rank == 0 && hash.is_multiple_of(SPLIT_CHARACTER_EVERY) {
            return SPLIT_CHARACTER[0];
        }
        let stride = (hash >> 32) | 1;
        let index = (hash >> 8).wrapping_add(rank.wrapping_mul(stride)) % u64::from(WORDS);
        FIRST_WORD + index as TokenId
    }
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) token: TokenId,
    pub(super) logprob: Option<Logprob>,
}

/// What a choice depends on in addition to the position.
pub(super) struct Rules<'a> {
    pub(super) sampling: &'a SamplingParams,
    pub(super) banned: &'a [TokenId],
    pub(super) prompt: &'a [TokenId],
    pub(super) answer: &'a [TokenId],
    pub(super) top_logprobs: Option<u32>,
    /// A random number, uniform in 0..1; not used by greedy decoding.
    pub(super) draw: f32,
}

impl Rules<'_> {
    /// Chooses the next token.
    pub(super) fn choose(&self, position: Position) -> Choice {
        let mut logits = position.logits();
        self.bias(&mut logits);
        self.penalise(&mut logits);
        logits.retain(|(token, _)| !self.banned.contains(token));
        logits.sort_by(|a, b| b.1.total_cmp(&a.1));
        let rank = if self.sampling.is_greedy() { 0 } else { self.sample(&logits) };
        let logprob = self.top_logprobs.map(|top| logprob(&logits, rank, top as usize));
        Choice { token: logits[rank].0, logprob }
    }

    /// Adds the logit bias. A biased token that is not a candidate becomes one, ranked
    /// after all others before its bias.
    fn bias(&self, logits: &mut Vec<(TokenId, f32)>) {
        for &(token, bias) in &self.sampling.logit_bias {
            match logits.iter_mut().find(|(known, _)| *known == token) {
                Some((_, logit)) => *logit += bias,
                None => logits.push((token, bias - LOGIT_STEP * CONSIDERED as f32)),
            }
        }
    }

    fn penalise(&self, logits: &mut [(TokenId, f32)]) {
        let SamplingParams { repetition_penalty, presence_penalty, frequency_penalty, .. } = *self.sampling;
        if repetition_penalty == 1.0 && presence_penalty == 0.0 && frequency_penalty == 0.0 {
            return;
        }
        for (token, logit) in logits {
            let times = self.answer.iter().filter(|known| *known == token).count();
            if times > 0 || self.prompt.contains(token) {
                *logit = if *logit > 0.0 { *logit / repetition_penalty } else { *logit * repetition_penalty };
            }
            if times > 0 {
                *logit -= presence_penalty + frequency_penalty * times as f32;
            }
        }
    }

    /// The rank, in the sorted logits, that `draw` selects.
    fn sample(&self, logits: &[(TokenId, f32)]) -> usize {
        let SamplingParams { temperature, top_p, top_k, min_p, .. } = *self.sampling;
        let considered = top_k.map_or(logits.len(), |top_k| logits.len().min(top_k as usize));
        let best = logits[0].1;
        let weight = |(_, logit): &(TokenId, f32)| ((logit - best) / temperature).exp();
        // The likeliest token has weight 1, so min-p is a lower bound of weights.
        let mut weights: Vec<f32> = logits[..considered].iter().map(weight).take_while(|&w| w >= min_p).collect();
        let nucleus = top_p * weights.iter().sum::<f32>();
        let mut sum = 0.0;
        let within = weights.iter().take_while(|&&weight| {
            let is_within = sum < nucleus;
            sum += weight;
            is_within
        });
        let within = within.count().max(1);
        weights.truncate(within);
        let mut rest = self.draw * weights.iter().sum::<f32>();
        let selected = weights.iter().position(|&weight| {
            rest -= weight;
            rest < 0.0
        });
        selected.unwrap_or(within - 1)
    }
}

/// Log probabilities of the candidates, before temperature.
fn logprob(logits: &[(TokenId, f32)], rank: usize, top: usize) -> Logprob {
    let best = logits[0].1;
    let normaliser = best + logits.iter().map(|(_, logit)| (logit - best).exp()).sum::<f32>().ln();
    let top = logits.iter().take(top).map(|&(token, logit)| (token, logit - normaliser)).collect();
    Logprob { logprob: logits[rank].1 - normaliser, top }
}

/// A hash of 64 bits to 64 bits (the finaliser of SplitMix64).
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
#[path = "candidates_tests.rs"]
mod tests;
