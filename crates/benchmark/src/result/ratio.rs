//! How contestants of one benchmark compare, round by round.

use serde::{Deserialize, Serialize};

use super::{Kind, Metric, Series};
use crate::measure::Estimate;

/// The throughput of one contestant relative to another's. The ratio is taken
/// within each round, where both met the same conditions; the estimate is over
/// the rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Whose throughput.
    pub of: String,
    /// Relative to whose.
    pub to: String,
    /// Output tokens per second of the one over those of the other.
    pub ratio: Estimate,
}

impl Ratio {
    /// The ratio of two contestants; `None` where a round of the second gave nothing.
    #[must_use]
    pub fn between(of: &Series, to: &Series) -> Option<Self> {
        let rate = |run| Metric::OutputTokensPerSecond.value(run);
        let ratios: Option<Vec<f64>> = of
            .runs
            .iter()
            .zip(&to.runs)
            .map(|(of, to)| Some(rate(of)? / rate(to).filter(|&rate| rate > 0.0)?))
            .collect();
        Some(Self { of: of.name.clone(), to: to.name.clone(), ratio: Estimate::of(ratios?)? })
    }
}

/// The ratios that a benchmark of this kind is about: the first contestant to
/// the second; each rung to the one below and to the lowest.
pub(super) fn ratios(kind: Kind, series: &[Series]) -> Vec<Ratio> {
    match kind {
        Kind::Run | Kind::Sweep => Vec::new(),
        Kind::Versus => series.windows(2).filter_map(|pair| Ratio::between(&pair[0], &pair[1])).collect(),
        Kind::Ladder => {
            let below = series.windows(2).filter_map(|pair| Ratio::between(&pair[1], &pair[0]));
            let lowest = series.iter().skip(2).filter_map(|rung| Ratio::between(rung, series.first()?));
            below.chain(lowest).collect()
        }
    }
}
