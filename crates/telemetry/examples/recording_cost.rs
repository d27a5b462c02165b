//! What metrics cost, and which share of a processor that is at a given rate: `cargo run
//! -p hostler-telemetry --example recording_cost`.
//!
//! Of a token: the two metrics that are recorded for it, through handles that are held, and
//! its part of what upkeep does later. Of a request: every metric of the catalogue, looked
//! up by its name and labels and recorded. That is more than a request does, which holds
//! most of its handles and has less than half of the metrics.

use std::time::{Duration, Instant};

use hostler_telemetry::{Exporter, ExporterError, Kind, catalogue};

/// What is counted at once; the median of several times is taken.
const TOKENS: u32 = 100_000;
const REQUESTS: u32 = 1_000;
const SCRAPES: u32 = 20;
const REPEATS: usize = 9;

/// The load of which the share is computed: far more than the demo model gives on a
/// processor, in answers of 50 tokens, with Prometheus every 5 s.
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

    println!("a token: {:.0} ns", token * 1e9);
    println!("a request, at most: {:.1} µs", request * 1e6);
    println!("a scrape: {:.0} µs", scrape * 1e6);
    let requests_per_second = TOKENS_PER_SECOND / TOKENS_PER_REQUEST;
    let share = token * TOKENS_PER_SECOND + request * requests_per_second + scrape * SCRAPES_PER_SECOND;
    println!("of a processor that gives {TOKENS_PER_SECOND:.0} tokens/s: {:.2} %", share * 100.0);
    Ok(())
}

/// Every metric once.
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

/// Seconds that one of `count` takes.
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
