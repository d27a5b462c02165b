//! Formatting of metrics and numbers.

use hostler_loadgen::measure::Estimate;
use hostler_loadgen::result::Metric;

/// A metric's name with the unit of its displayed values.
pub(crate) fn metric_title(metric: Metric) -> String {
    let name = metric.to_string().replace("_seconds_per_1000_tokens", "_per_1000_tokens");
    let name = ["_per_second", "_seconds", "_bytes"].iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(&name);
    format!("{} ({})", name.replace('_', " "), metric.display_unit().1)
}

/// A median, with its interval if there are several values.
pub(crate) fn format_estimate(metric: Metric, estimate: &Estimate) -> String {
    let (factor, _) = metric.display_unit();
    let format = |value: f64| format_number(value * factor);
    if estimate.values.len() < 2 {
        return format(estimate.median);
    }
    format!("{} [{} – {}]", format(estimate.median), format(estimate.low), format(estimate.high))
}

/// A probability, as far as it matters.
pub(crate) fn format_probability(probability: f64) -> String {
    if probability < 0.0001 { "<0.0001".to_owned() } else { format!("{probability:.4}") }
}

/// Three or four significant digits, the precision of the measurements.
pub(crate) fn format_number(value: f64) -> String {
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
    use hostler_loadgen::result::{Latency, Percentile};

    #[test]
    fn titles_have_the_displayed_unit() {
        assert_eq!(metric_title(Metric::OutputTokensPerSecond), "output tokens (tokens/s)");
        assert_eq!(metric_title(Metric::Time(Latency::Ttft, Percentile::P50)), "ttft p50 (ms)");
        assert_eq!(metric_title(Metric::ServerCpuSecondsPer1000Tokens), "server cpu per 1000 tokens (s)");
        assert_eq!(metric_title(Metric::ServerResidentBytes), "server resident (MB)");
    }

    #[test]
    fn numbers_have_three_or_four_significant_digits() {
        assert_eq!([1234.5, 12.34, 1.234, 0.1234].map(format_number), ["1234", "12.3", "1.23", "0.123"]);
    }
}
