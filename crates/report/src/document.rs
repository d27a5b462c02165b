//! The content of a report, independent of Markdown or HTML.

use std::collections::BTreeSet;

use hostler_loadgen::measure::{Estimate, RunSummary};
use hostler_loadgen::result::{BenchmarkResult, Latency, Metric, Percentile, Series};
use hostler_loadgen::workload::{Prompts, Workload};
use serde::Serialize;

use crate::format::{format_estimate, format_number, metric_title};
use crate::table::Table;

/// A part of a report.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// Lines of text.
    List(Vec<String>),
    /// A table.
    Table(Table),
}

/// The metrics of the first table; latencies have their own.
const OVERVIEW: [Metric; 8] = [
    Metric::OutputTokensPerSecond,
    Metric::TotalTokensPerSecond,
    Metric::RequestsPerSecond,
    Metric::GoodputPerSecond,
    Metric::ServerCpuSecondsPer1000Tokens,
    Metric::ClientCpuSecondsPer1000Tokens,
    Metric::ServerResidentBytes,
    Metric::OutputTokensPerJoule,
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

/// The report of a result.
pub(crate) fn document(result: &BenchmarkResult) -> Vec<Part> {
    let mut parts = vec![Part::List(subject(result)), overview(&result.series), latencies(&result.series)];
    if !result.ratios.is_empty() {
        parts.push(ratios(result));
    }
    parts.push(Part::List(notes(result)));
    parts
}

/// The targets, the load, and the machine.
fn subject(result: &BenchmarkResult) -> Vec<String> {
    let plan = &result.plan;
    let mut lines: Vec<String> = result
        .series
        .iter()
        .map(|series| {
            let (target, shape) = (&series.target, series.shape.label());
            format!("{}: {} by {} at {}, {shape}", series.name, target.model, target.layer, target.address)
        })
        .collect();
    lines.push(format!(
        "{} requests {}, {} rounds; hostler {} (commit {}) on {} × {}",
        plan.requests,
        describe_workload(&plan.workload),
        result.series.iter().map(|series| series.runs.len()).max().unwrap_or_default(),
        result.version,
        result.commit.as_deref().unwrap_or("unknown"),
        result.machine.cpus,
        result.machine.processor.as_deref().unwrap_or(&result.machine.architecture),
    ));
    if let (Some(file), Some(sha256)) = (result.server["model_file"].as_str(), result.server["model_sha256"].as_str()) {
        lines.push(format!("model file {file}, sha256 {sha256}"));
    }
    lines
}

/// The requests.
fn describe_workload(workload: &Workload) -> String {
    let lengths = match &workload.prompts {
        Prompts::Trace(trace) => format!("with the lengths of the trace {} (sha256 {})", trace.source, trace.sha256),
        Prompts::Conversation { turns, .. } => {
            format!("of {} output tokens, {turns} per conversation", workload.output_tokens)
        }
        _ => format!("of {} output tokens", workload.output_tokens),
    };
    match workload.leaving {
        Some(leaving) => {
            let percent = format_number(leaving.share * 100.0);
            format!("{lengths}, {percent} % of them cancelled after {} tokens", leaving.after_tokens)
        }
        None => lengths,
    }
}

/// Rates and costs: a row per metric, a column per series.
fn overview(all: &[Series]) -> Part {
    let mut table = Table::new(std::iter::once("median [interval]").chain(all.iter().map(|series| &*series.name)));
    for metric in OVERVIEW {
        if all.iter().any(|series| series.estimate(metric).is_some()) {
            let cells = all
                .iter()
                .map(|series| series.estimate(metric).map_or(String::new(), |value| format_estimate(metric, value)));
            table.row(std::iter::once(metric_title(metric)).chain(cells));
        }
    }
    Part::Table(table)
}

/// Latencies: a row per latency and series, a column per percentile.
fn latencies(all: &[Series]) -> Part {
    let mut table = Table::new(std::iter::once("ms").chain(PERCENTILES.map(|(_, name)| name)));
    for (latency, name) in LATENCIES {
        for series in all {
            let cells = PERCENTILES.map(|(percentile, _)| {
                let estimate = series.estimate(Metric::Time(latency, percentile));
                estimate.map_or(String::new(), |estimate| format_number(estimate.median * 1e3))
            });
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.row(std::iter::once(format!("{name} {}", series.name)).chain(cells));
            }
        }
    }
    Part::Table(table)
}

/// Ratios between targets.
fn ratios(result: &BenchmarkResult) -> Part {
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
    Part::Table(table)
}

/// What a reader must know to interpret the numbers.
fn notes(result: &BenchmarkResult) -> Vec<String> {
    let mut lines = Vec::new();
    for series in &result.series {
        lines.extend(series_notes(series, result.plan.workload.exact_length));
    }
    if let Some(knee) = result.knee {
        let (tokens, ms) = (format_number(knee.tokens_per_second), format_number(knee.e2e_seconds * 1e3));
        lines.push(format!("the knee is at {} in flight: {tokens} tokens/s, {ms} ms per request", knee.concurrency));
    }
    let rate = result.series.first().and_then(|series| series.estimate(Metric::OutputTokensPerSecond));
    if let Some(estimate) = rate.filter(|estimate| estimate.values.len() > 1) {
        let confidence = estimate.confidence * 100.0;
        lines.push(format!("intervals of the median are order statistics with {confidence:.1} % confidence"));
    }
    if let Some(until) = result.plan.until {
        let of_rates = result.series.iter().filter_map(|series| series.estimate(Metric::OutputTokensPerSecond));
        let precision = |estimates: Vec<&Estimate>| estimates.into_iter().map(Estimate::precision).fold(0.0, f64::max);
        let reached = match &result.ratios[..] {
            [] => precision(of_rates.collect()),
            ratios => precision(ratios.iter().map(|ratio| &ratio.ratio).collect()),
        };
        let (reached, wanted) = (reached * 100.0, until.precision * 100.0);
        let note = if reached <= wanted { "" } else { ": NOT reached in time" };
        lines.push(format!("the intervals are within ± {reached:.2} %; ± {wanted} % was wanted{note}"));
    }
    let ceiling = format_number(result.generator.ceiling_tokens_per_second);
    lines.push(format!("this load generator receives {ceiling} tokens/s from an echo"));
    lines.extend(result.generator.objections.iter().map(|objection| format!("INVALID: {objection}")));
    lines
}

/// Deviations of a series from what was requested.
fn series_notes(series: &Series, exact_length: bool) -> Vec<String> {
    let name = &series.name;
    let mut lines = Vec::new();
    if series.failed() > 0 {
        let kinds: BTreeSet<&str> =
            series.runs.iter().flat_map(|run| run.failures.keys().map(String::as_str)).collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        lines.push(format!("{name}: {} requests FAILED ({})", series.failed(), kinds.join(", ")));
    }
    let sum = |count: fn(&RunSummary) -> u64| series.runs.iter().map(count).sum::<u64>();
    let (unsent, timed_out, later) = (sum(|run| run.unsent), sum(|run| run.timed_out), sum(|run| run.ended_later));
    if unsent > 0 {
        lines.push(format!("{name}: {unsent} requests could NOT be sent: too many were in flight"));
    }
    if timed_out > 0 {
        lines.push(format!("{name}: {timed_out} requests timed out; the latencies contain them with their time limit"));
    }
    if later > 0 {
        lines.push(format!("{name}: {later} requests ended after the window; the latencies contain them"));
    }
    let left: u64 = series.runs.iter().map(|run| run.left).sum();
    if left > 0 {
        lines.push(format!("{name}: {left} clients disconnected early, as planned; only their received tokens count"));
    }
    if series.short_answers() > 0 && exact_length {
        let short = series.short_answers();
        lines.push(format!(
            "{name}: {short} answers are shorter than requested (the server does not support ignore_eos)"
        ));
    }
    if series.runs.iter().any(|run| !run.tokens_counted_by_server) {
        lines.push(format!("{name}: the server does not report token counts; each piece counts as one token"));
    }
    if series.runs.iter().any(|run| run.over_saturated) {
        lines.push(format!("{name}: over-saturated: the queue grew until the end"));
    }
    lines
}
