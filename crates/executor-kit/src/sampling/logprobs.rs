//! Log probabilities at one position, of the model's own distribution: before
//! temperature, bias, penalties and constraint.

use hostler_protocol::{Logprob, TokenId};

use super::vector::largest;

/// The log probability of `chosen`, and of the `count` likeliest tokens.
pub(crate) fn logprob(logits: &[f32], chosen: TokenId, count: usize) -> Logprob {
    let max = largest(logits);
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    let log_sum = max + sum.ln() as f32;
    let top = likeliest(logits, count).into_iter().map(|(id, logit)| (id, logit - log_sum)).collect();
    Logprob { logprob: logits[chosen as usize] - log_sum, top }
}

/// The `count` largest logits, largest first, equal ones by id. For a small `count`,
/// insertion is faster than sorting the vocabulary.
fn likeliest(logits: &[f32], count: usize) -> Vec<(TokenId, f32)> {
    let mut top: Vec<(TokenId, f32)> = Vec::with_capacity(count + 1);
    for (id, &logit) in (0..).zip(logits) {
        if top.len() == count && top.last().is_none_or(|&(_, least)| logit <= least) {
            continue;
        }
        let place = top.partition_point(|&(_, other)| other >= logit);
        top.insert(place, (id, logit));
        top.truncate(count);
    }
    top
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let logits = [0.0, 1.0_f32.ln(), 2.0_f32.ln()];
        let found = logprob(&logits, 2, 3);
        assert!((found.logprob.exp() - 0.5).abs() < 1e-6);
        let ids: Vec<TokenId> = found.top.iter().map(|&(id, _)| id).collect();
        assert_eq!(ids, [2, 0, 1]);
        let sum: f32 = found.top.iter().map(|&(_, logprob)| logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert!(logprob(&logits, 0, 0).top.is_empty());
    }

    proptest! {
        #[test]
        fn the_likeliest_equal_those_found_by_sorting(logits in proptest::collection::vec(-5_i8..5, 0..40), count in 0_usize..12) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let mut sorted: Vec<(TokenId, f32)> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|left, right| right.1.total_cmp(&left.1));
            sorted.truncate(count);
            prop_assert_eq!(likeliest(&logits, count), sorted);
        }
    }
}
