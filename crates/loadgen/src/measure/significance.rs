//! Whether two samples differ: the Mann-Whitney test, and Holm's correction for several tests.

/// Largest number of values on either side whose distribution is computed exactly. Beyond it
/// the normal approximation is accurate to a few percent of the p-value.
const EXACT_MAX: usize = 20;

/// The probability that values of one distribution, divided at random into samples of these
/// sizes, have a sum of ranks in `a` that is as high as the measured one, or higher.
///
/// It is small if the values of `a` tend to be larger than those of `b`. Nothing is assumed
/// about the distribution; equal values share the mean of their ranks (W. J. Conover,
/// "Practical Nonparametric Statistics", section 5.1).
#[must_use]
pub fn larger(a: &[f64], b: &[f64]) -> f64 {
    let ranks = doubled_ranks(a, b);
    let sum: usize = ranks[..a.len()].iter().sum();
    if a.len().max(b.len()) <= EXACT_MAX { exact(&ranks, a.len(), sum) } else { approximate(&ranks, a.len(), sum) }
}

/// The smallest result of [`larger`] for samples of these sizes: 1 / C(a + b, a).
#[must_use]
pub fn smallest(a: usize, b: usize) -> f64 {
    (1..=a).map(|nth| nth as f64 / (b + nth) as f64).product()
}

/// Holm's adjusted p-values: if those up to α are accepted as differences, the probability of
/// a single false one among all is at most α, however the tests depend on each other
/// (S. Holm, "A simple sequentially rejective multiple test procedure", 1979).
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (nth, index) in order.into_iter().enumerate() {
        highest = highest.max(p_values[index] * (p_values.len() - nth) as f64).min(1.0);
        adjusted[index] = highest;
    }
    adjusted
}

/// Twice the rank of each value among all, those of `a` first. Doubled, because the mean of
/// ranks may end in a half.
fn doubled_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = a.iter().chain(b).copied().collect();
    let mut sorted = all.clone();
    sorted.sort_by(f64::total_cmp);
    let rank = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let up_to = sorted.partition_point(|other| other <= value);
        below + up_to + 1
    };
    all.iter().map(rank).collect()
}

/// Counts the choices of `size` of `ranks` by their sum.
fn exact(ranks: &[usize], size: usize, sum: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // ways[k][s]: choices of k ranks with the sum s.
    let mut ways = vec![vec![0.0; total + 1]; size + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for chosen in (1..=size).rev() {
            for to in (rank..=total).rev() {
                ways[chosen][to] += ways[chosen - 1][to - rank];
            }
        }
    }
    let all: f64 = ways[size].iter().sum();
    ways[size][sum..].iter().sum::<f64>() / all
}

/// A normal distribution of the same mean and variance, with a continuity correction.
fn approximate(ranks: &[usize], size: usize, sum: usize) -> f64 {
    let count = ranks.len() as f64;
    let mean = ranks.iter().sum::<usize>() as f64 / count;
    let square = ranks.iter().map(|&rank| (rank as f64 - mean).powi(2)).sum::<f64>();
    let size = size as f64;
    // Of a sum of `size` values drawn without replacement.
    let variance = size * (count - size) / (count * (count - 1.0)) * square;
    if variance <= 0.0 {
        return 1.0;
    }
    // Doubled ranks are apart by 2.
    let deviations = (sum as f64 - 1.0 - size * mean) / variance.sqrt();
    erfc(deviations / std::f64::consts::SQRT_2) / 2.0
}

/// The complementary error function, to 1.2e-7 of its value (W. H. Press et al., "Numerical
/// Recipes in C", section 6.2).
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let polynomial = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let value = t * (-x * x + polynomial).exp();
    if x >= 0.0 { value } else { 2.0 - value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separate_samples_are_as_improbable_as_one_choice_of_all() {
        let (low, high): (Vec<f64>, Vec<f64>) = ((1..=5).map(f64::from).collect(), (6..=10).map(f64::from).collect());
        assert!((larger(&high, &low) - 1.0 / 252.0).abs() < 1e-12);
        assert!((larger(&low, &high) - 1.0).abs() < 1e-12);
        assert!((smallest(5, 5) - 1.0 / 252.0).abs() < 1e-12);
    }

    #[test]
    fn equal_values_share_their_rank() {
        // Of the six choices of two of {1, 1, 2, 2}, one has the highest sum.
        assert!((larger(&[2.0, 2.0], &[1.0, 1.0]) - 1.0 / 6.0).abs() < 1e-12);
        assert!((larger(&[1.0, 1.0], &[1.0, 1.0]) - 1.0).abs() < 1e-12);
        assert!((larger(&[1.0; 30], &[1.0; 30]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn corrected_values_match_a_published_example() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (adjusted, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((adjusted - expected).abs() < 1e-12, "{adjusted} for {expected}");
        }
    }

    proptest! {
        #[test]
        fn the_approximation_agrees_with_the_exact_value(a in prop::collection::vec(0.0f64..100.0, 18..=20),
                                                         b in prop::collection::vec(0.0f64..100.0, 18..=20)) {
            let ranks = doubled_ranks(&a, &b);
            let sum = ranks[..a.len()].iter().sum();
            let (exact, approximate) = (exact(&ranks, a.len(), sum), approximate(&ranks, a.len(), sum));
            prop_assert!((exact - approximate).abs() < 0.005, "{exact} {approximate}");
        }
    }
}
