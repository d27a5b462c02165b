//! Trend detection: whether the queue of an open loop grows throughout the run.

/// How far the slope must be above 0, in standard errors: with many points, chance alone
/// exceeds three about once in 740 runs.
const SIGNIFICANCE_MIN: f64 = 3.0;

/// Minimum growth of the line over the run, relative to its mean.
const GROWTH_MIN: f64 = 0.5;

/// With fewer points, no trend is reported.
const POINTS_MIN: usize = 10;

/// A straight line fitted by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Growth of y per unit of x.
    pub slope: f64,
    /// The slope's standard error.
    pub slope_error: f64,
    /// Mean of y.
    pub mean: f64,
    /// Distance from the smallest to the largest x.
    pub span: f64,
}

impl Trend {
    /// The line through `points`; `None` for fewer than three, or if all have the same x.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 3 {
            return None;
        }
        let count = points.len() as f64;
        let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean = points.iter().map(|point| point.1).sum::<f64>() / count;
        let spread_x: f64 = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum();
        if spread_x <= 0.0 {
            return None;
        }
        let slope = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean)).sum::<f64>() / spread_x;
        let residual: f64 = points.iter().map(|point| (point.1 - mean - slope * (point.0 - mean_x)).powi(2)).sum();
        let slope_error = (residual / (count - 2.0) / spread_x).sqrt();
        let (low, high) =
            points.iter().fold((f64::MAX, f64::MIN), |(low, high), point| (low.min(point.0), high.max(point.0)));
        Some(Self { slope, slope_error, mean, span: high - low })
    }

    /// Whether the line rises, significantly and by at least half of its mean.
    #[must_use]
    pub fn rises(&self) -> bool {
        self.slope > SIGNIFICANCE_MIN * self.slope_error && self.slope * self.span > GROWTH_MIN * self.mean
    }
}

/// Whether an open loop sends more than the target serves: both the number in flight and
/// the time to first token grow over the run. `in_flight` and `ttft` are (time sent, value)
/// pairs.
#[must_use]
pub fn is_over_saturated(in_flight: &[(f64, f64)], ttft: &[(f64, f64)]) -> bool {
    let rises =
        |points: &[(f64, f64)]| points.len() >= POINTS_MIN && Trend::through(points).is_some_and(|trend| trend.rises());
    rises(in_flight) && rises(ttft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_line_is_found() {
        let points: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        let trend = Trend::through(&points).expect("twenty points");
        assert!((trend.slope - 2.0).abs() < 1e-12 && trend.slope_error < 1e-9, "{trend:?}");
        assert!(trend.rises());
    }

    #[test]
    fn the_standard_error_follows_the_formula() {
        // Residuals of 1, -1, -1, 1 around a flat line: 4 / (4 - 2) / 5 = 0.4.
        let trend = Trend::through(&[(0.0, 1.0), (1.0, -1.0), (2.0, -1.0), (3.0, 1.0)]).expect("four points");
        assert!(trend.slope.abs() < 1e-12);
        assert!((trend.slope_error - 0.4f64.sqrt()).abs() < 1e-12, "{trend:?}");
    }

    #[test]
    fn a_growing_queue_is_distinguished_from_an_oscillating_one() {
        let growing: Vec<(f64, f64)> = (0..50).map(|n| (f64::from(n), f64::from(n) + f64::from(n % 3))).collect();
        let oscillating: Vec<(f64, f64)> = (0..50).map(|n| (f64::from(n), 5.0 + f64::from(n % 7))).collect();
        assert!(is_over_saturated(&growing, &growing));
        assert!(!is_over_saturated(&oscillating, &oscillating));
        assert!(!is_over_saturated(&growing, &oscillating));
        assert!(!is_over_saturated(&growing[..5], &growing[..5]));
    }
}
