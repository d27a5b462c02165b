//! The effect of cohorts and of `cohort_wait` on an engine that batches by equal length:
//! tokens/s and latencies on the simulated engine, calibrated to mistral.rs in f32 on two
//! cores and run four times as fast.
//!
//! Run: `cargo run -p hostler-scheduler --example cohorts [plot.svg]`. Times are printed
//! in the real engine's time, one line for each workload and `cohort_wait`; a wait of 0
//! is continuous refill. The plot shows throughput and latency over `cohort_wait` for
//! eight clients with similar prompts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{GenerationRequest, Prompt, TokenEvent};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use plotters::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The factor by which the simulated engine is faster than the real one.
const FASTER: f64 = 4.0;

/// The values of `cohort_wait`, in seconds of the real engine.
const WAITS: [f64; 6] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0];

/// The workload of the plot.
const PLOTTED: &str = "8 clients, prompts 16-20, answers 16-112";

/// Requests in a run.
const REQUESTS: usize = 40;

struct Workload {
    name: &'static str,
    clients: usize,
    prompt_tokens: std::ops::RangeInclusive<usize>,
    answer_tokens: std::ops::RangeInclusive<u32>,
}

struct Outcome {
    tokens_per_second: f64,
    first_token_p95: f64,
    end_to_end_p95: f64,
}

#[actix::main]
async fn main() {
    let workload =
        |name, clients, prompt_tokens, answer_tokens| Workload { name, clients, prompt_tokens, answer_tokens };
    let workloads = [
        workload("2 clients, prompts 16-20, answers 16-112", 2, 16..=20, 16..=112),
        workload(PLOTTED, 8, 16..=20, 16..=112),
        workload("40 clients, prompts 16-20, answers 16-112", 40, 16..=20, 16..=112),
        workload("40 clients, prompts 16-20, answers 64", 40, 16..=20, 64..=64),
        workload("8 clients, prompts 10-200, answers 16-112", 8, 10..=200, 16..=112),
        workload("40 clients, prompts 10-200, answers 16-112", 40, 10..=200, 16..=112),
    ];
    let mut points = Vec::new();
    println!("{:<44} {:>12} {:>10} {:>11} {:>10}", "workload", "cohort_wait", "tokens/s", "TTFT p95 s", "E2E p95 s");
    for workload in &workloads {
        for wait in WAITS {
            let outcome = run(workload, wait).await;
            println!(
                "{:<44} {:>10} s {:>10.1} {:>11.2} {:>10.2}",
                workload.name, wait, outcome.tokens_per_second, outcome.first_token_p95, outcome.end_to_end_p95
            );
            if workload.name == PLOTTED {
                points.push((wait, outcome));
            }
        }
    }
    if let Some(path) = std::env::args().nth(1) {
        plot(&path, &points).expect("the plot can be written");
    }
}

/// Plots throughput and latency over the wait, each on its own axis.
fn plot(path: &str, points: &[(f64, Outcome)]) -> Result<(), Box<dyn std::error::Error>> {
    let rate: Vec<(f64, f64)> = points.iter().map(|(wait, outcome)| (*wait, outcome.tokens_per_second)).collect();
    let first: Vec<(f64, f64)> = points.iter().map(|(wait, outcome)| (*wait, outcome.first_token_p95)).collect();
    let top = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.2;
    let longest = points.last().map_or(1.0, |(wait, _)| *wait);
    let root = SVGBackend::new(path, (720, 360)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(PLOTTED, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .right_y_label_area_size(50)
        .build_cartesian_2d(0.0..longest, 0.0..top(&rate))?
        .set_secondary_coord(0.0..longest, 0.0..top(&first));
    chart.configure_mesh().x_desc("cohort_wait, s").y_desc("tokens/s").draw()?;
    chart.configure_secondary_axes().y_desc("p95 time to first token, s").draw()?;
    chart
        .draw_series(LineSeries::new(rate, BLUE.stroke_width(2)).point_size(4))?
        .label("tokens/s")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE.stroke_width(2)));
    chart
        .draw_secondary_series(LineSeries::new(first, RED.stroke_width(2)).point_size(4))?
        .label("p95 time to first token")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED.stroke_width(2)));
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}

async fn run(workload: &Workload, wait: f64) -> Outcome {
    let cost = CostModel::MISTRALRS_F32;
    let engine = SimulatedConfig {
        cost: CostModel {
            prefill_tokens_per_second: cost.prefill_tokens_per_second * FASTER,
            decode_step_ms: cost.decode_step_ms / FASTER,
            decode_ms_per_sequence: cost.decode_ms_per_sequence / FASTER,
            mixed_ms_per_sequence: cost.mixed_ms_per_sequence / FASTER,
        },
        ..SimulatedConfig::mistralrs_f32()
    };
    let factory = SimulatedFactory::new("simulated", engine).expect("the preset is valid");
    let mut config = SchedulerConfig::new("cohorts", "simulated");
    config.queue.wait_max = Duration::from_secs(3600);
    config.batching.cohort_wait = Duration::from_secs_f64(wait / FASTER);
    let scheduler = LocalScheduler::start(config, Arc::new(factory));
    let serving = |snapshot: &hostler_scheduler::SchedulerSnapshot| snapshot.state == SchedulerState::Serving;
    scheduler.snapshot().wait_for(serving).await.expect("the scheduler lives");

    let start = Instant::now();
    let clients = (0..workload.clients).map(|client| client_loop(&scheduler, workload, client));
    let results: Vec<(u32, Duration, Duration)> = join_all(clients).await.into_iter().flatten().collect();
    let seconds = start.elapsed().as_secs_f64() * FASTER;
    scheduler.stop().await;

    let tokens: u32 = results.iter().map(|&(tokens, _, _)| tokens).sum();
    let p95 = |values: Vec<Duration>| {
        let mut values = values;
        values.sort_unstable();
        values[values.len() * 95 / 100 - 1].as_secs_f64() * FASTER
    };
    Outcome {
        tokens_per_second: f64::from(tokens) / seconds,
        first_token_p95: p95(results.iter().map(|&(_, first, _)| first).collect()),
        end_to_end_p95: p95(results.iter().map(|&(_, _, whole)| whole).collect()),
    }
}

/// Sends requests one after the other. Returns, for each, the tokens, the time to the
/// first token and the total time.
async fn client_loop(scheduler: &LocalScheduler, workload: &Workload, client: usize) -> Vec<(u32, Duration, Duration)> {
    let mut random = StdRng::seed_from_u64(client as u64);
    let mut results = Vec::new();
    for _ in 0..REQUESTS / workload.clients {
        let prompt = vec![1; random.random_range(workload.prompt_tokens.clone())];
        let mut request = GenerationRequest::new("simulated".into(), Prompt::Tokens(prompt));
        request.stop.max_tokens = Some(random.random_range(workload.answer_tokens.clone()));
        let start = Instant::now();
        let mut generation = scheduler.submit(request).await.expect("the queue has room");
        let (mut tokens, mut first) = (0, None);
        while let Some(event) = generation.events.next().await {
            match event {
                TokenEvent::Token(_) => {
                    tokens += 1;
                    first.get_or_insert(start.elapsed());
                }
                TokenEvent::Failed(error) => panic!("{error}"),
                TokenEvent::Started(_) | TokenEvent::Finished(_) => {}
            }
        }
        results.push((tokens, first.expect("a token"), start.elapsed()));
    }
    results
}
