//! Results as Markdown, which is also what a terminal shows.

use std::fmt::Write;

use super::table::Table;
use crate::measure::Estimate;
use crate::result::{BenchmarkResult, Comparison, Latency, Metric, Percentile, Series};

/// The quantities of the first table; times have one of their own.
const OVERVIEW: [Metric; 7] = [
    Metric::OutputTokensPerSecond,
    Metric::TotalTokensPerSecond,
    Metric::RequestsPerSecond,
    Metric::GoodputPerSecond,
    Metric::ServerCpuSecondsPer1000Tokens,
    Metric::ClientCpuSecondsPer1000Tokens,
    Metric::ServerResidentBytes,
];

const LATENCIES: [(Latency, &str); 4] =
    [(Latency::Ttft, "TTFT"), (Latency::Itl, "ITL"), (Latency::Tpot, "TPOT"), (Latency::E2e, "E2E")];

const PERCENTILES: [(Percentile, &str); 5] = [
    (Percentile::P50, "p50"),
    (Percentile::P90, "p90"),
    (Percentile::P95, "p95"),
    (Percentile::P99, "p99"),
    (Percentile::Max, "max"),
];

/// A whole result.
#[must_use]
pub fn markdown(result: &BenchmarkResult) -> String {
    let plan = &result.plan;
    let mut parts = Vec::new();
    let mut heading = String::new();
    for series in &result.series {
        let target = &series.target;
        let shape = series.shape.label();
        line(
            &mut heading,
            format_args!("- {}: {} of {} at {}, {shape}", series.name, target.model, target.layer, target.address),
        );
    }
    line(
        &mut heading,
        format_args!(
            "- {} requests of {} output tokens, {} rounds; hostler {} on {} × {}",
            plan.requests,
            plan.workload.output_tokens,
            plan.repeats,
            result.version,
            result.machine.cpus,
            result.machine.processor.as_deref().unwrap_or(&result.machine.architecture),
        ),
    );
    parts.push(heading);
    parts.push(overview(&result.series));
    parts.push(times(&result.series));
    if !result.ratios.is_empty() {
        let mut table = Table::new(["throughput", "median ratio", "interval", "rounds"]);
        for ratio in &result.ratios {
            let Estimate { median, low, high, values, .. } = &ratio.ratio;
            table.row([
                format!("{} / {}", ratio.of, ratio.to),
                format!("{median:.3}"),
                format!("{low:.3} – {high:.3}"),
                values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" "),
            ]);
        }
        parts.push(table.render());
    }
    if let Some(knee) = result.knee {
        parts.push(format!(
            "The knee is at {} in flight: {:.1} tokens/s, {:.0} ms a request.\n",
            knee.concurrency,
            knee.tokens_per_second,
            knee.e2e_seconds * 1e3
        ));
    }
    parts.push(notes(result));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Rates and costs: a row for each, a column for each series.
fn overview(all: &[Series]) -> String {
    let mut table =
        Table::new(std::iter::once("median [interval]").chain(all.iter().map(|series| series.name.as_str())));
    for metric in OVERVIEW {
        if all.iter().any(|series| series.estimate(metric).is_some()) {
            let cells =
                all.iter().map(|series| series.estimate(metric).map_or(String::new(), |value| shown(metric, value)));
            table.row(std::iter::once(named(metric)).chain(cells));
        }
    }
    table.render()
}

/// Times: a row for each of each series, a column for each percentile.
fn times(all: &[Series]) -> String {
    let mut table = Table::new(std::iter::once("ms").chain(PERCENTILES.map(|(_, name)| name)));
    for (latency, name) in LATENCIES {
        for series in all {
            let cells = PERCENTILES.map(|(percentile, _)| {
                let estimate = series.estimate(Metric::Time(latency, percentile));
                estimate.map_or(String::new(), |estimate| number(estimate.median * 1e3))
            });
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.row(std::iter::once(format!("{name} {}", series.name)).chain(cells));
            }
        }
    }
    table.render()
}

/// What a reader must know to read the numbers rightly.
fn notes(result: &BenchmarkResult) -> String {
    let mut text = String::new();
    for series in &result.series {
        let name = &series.name;
        if series.failed() > 0 {
            let kinds: Vec<String> = series.runs.iter().flat_map(|run| run.failures.keys().cloned()).collect();
            line(&mut text, format_args!("- {name}: {} requests FAILED ({})", series.failed(), kinds.join(", ")));
        }
        if series.short_answers() > 0 && result.plan.workload.exact_length {
            line(
                &mut text,
                format_args!(
                    "- {name}: {} answers are shorter than asked (ignore_eos is not honoured)",
                    series.short_answers()
                ),
            );
        }
        if series.runs.iter().any(|run| !run.tokens_counted_by_server) {
            line(&mut text, format_args!("- {name}: the server does not tell its tokens; each piece counts as one"));
        }
        if series.runs.iter().any(|run| run.over_saturated) {
            line(&mut text, format_args!("- {name}: over-saturated, the queue grew to the end"));
        }
    }
    let confidence = result.series.first().and_then(|series| series.estimate(Metric::OutputTokensPerSecond));
    if let Some(estimate) = confidence.filter(|estimate| estimate.values.len() > 1) {
        line(
            &mut text,
            format_args!("- intervals of the median by order statistics, {:.1} % sure", estimate.confidence * 100.0),
        );
    }
    line(
        &mut text,
        format_args!("- this generator takes {:.0} tokens/s from an echo", result.generator.ceiling_tokens_per_second),
    );
    for objection in &result.generator.objections {
        line(&mut text, format_args!("- DOES NOT COUNT: {objection}"));
    }
    text
}

/// Two results against each other.
#[must_use]
pub fn comparison(comparison: &Comparison) -> String {
    let mut table = Table::new(["metric", "old", "new", "change", "verdict"]);
    for change in &comparison.changes {
        let verdict = format!("{:?}", change.verdict).to_lowercase();
        table.row([
            format!("{}: {}", change.series, named(change.metric)),
            shown(change.metric, &change.old),
            shown(change.metric, &change.new),
            format!("{:+.1} %", change.change * 100.0),
            if change.metric.decides() { verdict } else { format!("({verdict})") },
        ]);
    }
    let mut text = table.render();
    if !comparison.same_work {
        line(&mut text, format_args!("- the two did NOT do the same work"));
    }
    for name in &comparison.unmatched {
        line(&mut text, format_args!("- {name} is in one of the results only"));
    }
    line(
        &mut text,
        format_args!(
            "- a change counts beyond {} % and if the intervals do not overlap; verdicts in parentheses decide nothing",
            comparison.threshold * 100.0
        ),
    );
    text
}

/// A metric's name, with the unit that its values are shown in.
fn named(metric: Metric) -> String {
    let name = metric.to_string();
    let name = ["_per_second", "_seconds", "_bytes"].iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(&name);
    format!(
        "{} ({})",
        name.replace("_seconds_per_1000_tokens", " per 1000 tokens").replace('_', " "),
        metric.display_unit().1
    )
}

/// A median, and its interval where there is one.
fn shown(metric: Metric, estimate: &Estimate) -> String {
    let (factor, _) = metric.display_unit();
    let show = |value: f64| number(value * factor);
    if estimate.values.len() < 2 {
        return show(estimate.median);
    }
    format!("{} [{} – {}]", show(estimate.median), show(estimate.low), show(estimate.high))
}

/// Three or four digits, which is what the measurement is worth.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

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
