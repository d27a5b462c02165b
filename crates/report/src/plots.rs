//! The plots of a report, as SVG.

mod draw;

pub use draw::PlotError;

use draw::{Axes, Bar, Line, bars, lines};
use hostler_loadgen::result::{BenchmarkResult, Curves, Kind, Latency, Metric, Percentile, Series};

/// Selects one of a series' distributions.
type CurveOf = fn(&Curves) -> &Vec<(f64, f64)>;

/// All plots for this result.
pub(crate) fn all(result: &BenchmarkResult) -> Result<Vec<String>, PlotError> {
    let mut plots = Vec::new();
    match result.kind {
        Kind::Sweep => plots.push(knee(result)?),
        Kind::Ladder => plots.push(waterfall(&result.series)?),
        Kind::Run | Kind::Versus => {}
    }
    plots.push(throughput(&result.series)?);
    let curves: [(&str, CurveOf); 3] = [
        ("Time to first token (TTFT)", |curves| &curves.ttft),
        ("Inter-token latency (ITL)", |curves| &curves.itl),
        ("End-to-end latency (E2E)", |curves| &curves.e2e),
    ];
    for (title, curve) in curves {
        plots.extend(latency(title, &result.series, curve)?);
    }
    Ok(plots)
}

/// A latency distribution; `None` if there are no samples.
fn latency(title: &str, all: &[Series], curve: CurveOf) -> Result<Option<String>, PlotError> {
    let line = |series: &Series| Line {
        name: series.name.clone(),
        points: curve(&series.curves).iter().map(|&(percentile, seconds)| (percentile, seconds * 1e3)).collect(),
        marked: false,
    };
    let all: Vec<Line> = all.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    if all.is_empty() {
        return Ok(None);
    }
    lines(&Axes { title, x: "percentile", y: "ms" }, &all).map(Some)
}

/// Tokens per second over time, in the first round.
fn throughput(all: &[Series]) -> Result<String, PlotError> {
    let line = |series: &Series| {
        let timeline = &series.runs.first()?.timeline;
        let points = timeline.tokens_per_second.iter().enumerate();
        let points = points.map(|(bucket, &rate)| ((bucket as f64 + 0.5) * timeline.bucket_seconds, rate)).collect();
        Some(Line { name: series.name.clone(), points, marked: false })
    };
    let all: Vec<Line> = all.iter().filter_map(line).collect();
    lines(&Axes { title: "Throughput in the first round", x: "seconds", y: "output tokens/s" }, &all)
}

/// Throughput against latency at each step, and the knee.
fn knee(result: &BenchmarkResult) -> Result<String, PlotError> {
    let median = |series: &Series, metric| series.estimate(metric).map_or(0.0, |estimate| estimate.median);
    let point = |series: &Series| {
        let e2e = Metric::Time(Latency::E2e, Percentile::P50);
        (median(series, Metric::OutputTokensPerSecond), median(series, e2e) * 1e3)
    };
    let mut all =
        vec![Line { name: "steps".to_owned(), points: result.series.iter().map(point).collect(), marked: true }];
    if let Some(knee) = result.knee {
        let point = (knee.tokens_per_second, knee.e2e_seconds * 1e3);
        all.push(Line { name: format!("knee: {} in flight", knee.concurrency), points: vec![point], marked: true });
    }
    lines(&Axes { title: "Sweep: 1, 2, 4 … in flight", x: "output tokens/s", y: "ms per request (median)" }, &all)
}

/// The throughput of each rung, and its loss relative to the rung below.
fn waterfall(rungs: &[Series]) -> Result<String, PlotError> {
    let rate = |series: &Series| series.estimate(Metric::OutputTokensPerSecond).map_or(0.0, |rate| rate.median);
    let below = std::iter::once(None).chain(rungs.iter().map(|rung| Some(rate(rung))));
    let all: Vec<Bar> = rungs
        .iter()
        .zip(below)
        .map(|(rung, below)| Bar {
            name: rung.name.clone(),
            value: rate(rung),
            lost: below.map_or(0.0, |below| (below - rate(rung)).max(0.0)),
        })
        .collect();
    bars(&Axes { title: "Ladder: throughput of each layer", x: "", y: "output tokens/s" }, &all)
}
