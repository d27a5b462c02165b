//! How quantities are written.

use crate::measure::Estimate;
use crate::result::Metric;

/// A metric's name, with the unit that its values are shown in.
pub(super) fn named(metric: Metric) -> String {
    let name = metric.to_string().replace("_seconds_per_1000_tokens", "_per_1000_tokens");
    let name = ["_per_second", "_seconds", "_bytes"].iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(&name);
    format!("{} ({})", name.replace('_', " "), metric.display_unit().1)
}

/// A median, and its interval where there is one.
pub(super) fn shown(metric: Metric, estimate: &Estimate) -> String {
    let (factor, _) = metric.display_unit();
    let show = |value: f64| number(value * factor);
    if estimate.values.len() < 2 {
        return show(estimate.median);
    }
    format!("{} [{} – {}]", show(estimate.median), show(estimate.low), show(estimate.high))
}

/// Three or four digits, which is what the measurement is worth.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Latency, Percentile};

    #[test]
    fn names_carry_the_unit_that_is_shown() {
        assert_eq!(named(Metric::OutputTokensPerSecond), "output tokens (tokens/s)");
        assert_eq!(named(Metric::Time(Latency::Ttft, Percentile::P50)), "ttft p50 (ms)");
        assert_eq!(named(Metric::ServerCpuSecondsPer1000Tokens), "server cpu per 1000 tokens (s)");
        assert_eq!(named(Metric::ServerResidentBytes), "server resident (MB)");
    }

    #[test]
    fn numbers_have_the_digits_that_they_are_worth() {
        assert_eq!([1234.5, 12.34, 1.234, 0.1234].map(number), ["1234", "12.3", "1.23", "0.123"]);
    }
}
