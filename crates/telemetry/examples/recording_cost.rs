//! Measures the cost of metrics, and computes their share of a CPU at a given load:
//! `cargo run -p hostler-telemetry --example recording_cost`.
//!
//! Per token: the two metrics of a token, recorded through existing handles, and their
//! share of the upkeep. Per request: every metric of the catalogue, looked up by name and
//! labels and recorded. A real request costs less: it has most of its handles already, and
//! records less than half of the metrics.

use std::time::{Duration, Instant};

use hostler_telemetry::{Exporter, ExporterError, Kind, catalogue};

/// Operations per measurement; the result is the median of several measurements.
const TOKENS: u32 = 100_000;
const REQUESTS: u32 = 1_000;
const SCRAPES: u32 = 20;
const REPEATS: usize = 9;

/// The load for which the share is computed: far more than a CPU generates with the demo
/// model, in answers of 50 tokens, with a scrape every 5 s.
const TOKENS_PER_SECOND: f64 = 10_000.0;
const TOKENS_PER_REQUEST: f64 = 50.0;
const SCRAPES_PER_SECOND: f64 = 0.2;

fn main() -> Result<(), ExporterError> {
    let exporter = Exporter::install("here")?;
    let labels = ["a-model", "a-worker.a-scheduler"];
    let generated = catalogue::GENERATION_TOKENS.counter(&labels);
    let gaps = catalogue::INTER_TOKEN.histogram(&labels);

    let token = median(TOKENS, || {
        for number in 0..TOKENS {
            generated.increment(1);
            gaps.record(Duration::from_micros(u64::from(number % 50_000)));
        }
        exporter.upkeep();
    });
    let request = median(REQUESTS, || {
        (0..REQUESTS).for_each(|_| record_all());
        exporter.upkeep();
    });
    let scrape = median(SCRAPES, || {
        for _ in 0..SCRAPES {
            std::hint::black_box(exporter.render());
        }
    });

    println!("per token: {:.0} ns", token * 1e9);
    println!("per request, at most: {:.1} µs", request * 1e6);
    println!("per scrape: {:.0} µs", scrape * 1e6);
    let requests_per_second = TOKENS_PER_SECOND / TOKENS_PER_REQUEST;
    let share = token * TOKENS_PER_SECOND + request * requests_per_second + scrape * SCRAPES_PER_SECOND;
    println!("share of a CPU at {TOKENS_PER_SECOND:.0} tokens/s: {:.2} %", share * 100.0);
    Ok(())
}

/// Records every metric once.
fn record_all() {
    for metric in catalogue::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|_| "a-value").collect();
        match metric.kind {
            Kind::Counter => metric.counter(&labels).increment(1),
            Kind::Gauge => metric.gauge(&labels).set(1.0),
            Kind::Histogram(_) => metric.histogram(&labels).record(0.1),
        }
    }
}

/// Median seconds per operation; `act` runs `count` operations.
fn median(count: u32, act: impl Fn()) -> f64 {
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let begun = Instant::now();
            act();
            begun.elapsed().as_secs_f64() / f64::from(count)
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[REPEATS / 2]
}
