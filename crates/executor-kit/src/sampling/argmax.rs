//! The likeliest token, in one pass that the compiler vectorises.

use hostler_protocol::TokenId;

/// Number of maxima that are tracked in parallel: that of the widest vectors.
const LANES: usize = 16;

/// The index of the largest logit, the first one if several are equal; `None` if all are
/// minus infinity or `logits` is empty. NaN is never the largest.
pub(crate) fn argmax(logits: &[f32]) -> Option<TokenId> {
    let largest = largest(logits);
    if largest == f32::NEG_INFINITY {
        return None;
    }
    let index = logits.iter().position(|&logit| logit == largest)?;
    TokenId::try_from(index).ok()
}

/// The largest logit; minus infinity if `logits` is empty.
pub(crate) fn largest(logits: &[f32]) -> f32 {
    let larger = |left: f32, right: f32| if right > left { right } else { left };
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, logit);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_first_of_equal_logits_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NAN]), Some(1));
        assert_eq!(argmax(&[f32::NEG_INFINITY; 40]), None);
        assert_eq!(argmax(&[]), None);
    }

    proptest! {
        #[test]
        fn it_equals_a_naive_search(logits in proptest::collection::vec(-9.0_f32..9.0, 1..80)) {
            let mut expected = 0;
            for (index, logit) in logits.iter().enumerate() {
                if *logit > logits[expected] {
                    expected = index;
                }
            }
            prop_assert_eq!(argmax(&logits), Some(expected as TokenId));
        }
    }
}
