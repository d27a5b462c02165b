//! Twice as much load as the simulated engine can serve, for a minute: goodput, the latency
//! of refusals, the share of retries that are admitted, and memory.
//!
//! Run: `cargo run -p hostler-scheduler --example overload [seconds]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{ErrorCode, GenerationRequest, Prompt, RequestError, TokenEvent, TokenId};
use hostler_scheduler::{Generation, LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Slower refusals are counted.
const REFUSAL_MAX: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Tally {
    finished: AtomicU64,
    refused: AtomicU64,
    slow_refusals: AtomicU64,
    slowest_refusal_us: AtomicU64,
    returned: AtomicU64,
    admitted: AtomicU64,
}

#[actix::main]
async fn main() {
    let seconds = std::env::args().nth(1).map_or(60, |text| text.parse().expect("a number of seconds"));
    let time = Duration::from_secs(seconds);
    let scheduler = start().await;

    let most = unloaded_maximum(&scheduler, time / 4).await;
    println!("unloaded maximum: {most:.2} requests/s (eight clients, one request after the other)");

    let tally = Arc::new(Tally::default());
    let before = resident_mib();
    let start = Instant::now();
    let mut random = StdRng::seed_from_u64(1);
    let mut middle = None;
    while start.elapsed() < time {
        actix::spawn(client(Arc::clone(&scheduler), request(&mut random), Arc::clone(&tally), start + time));
        let gap = -(1.0 - random.random::<f64>()).ln() / (2.0 * most);
        tokio::time::sleep(Duration::from_secs_f64(gap)).await;
        if middle.is_none() && start.elapsed() > time / 2 {
            middle = Some(resident_mib());
        }
    }
    let finished = load(&tally.finished);
    let goodput = finished / start.elapsed().as_secs_f64();
    println!("goodput: {goodput:.2} requests/s, {:.1} % of the maximum", 100.0 * goodput / most);
    println!(
        "refused: {}, slowest after {:.2} ms, {} slower than {REFUSAL_MAX:?}",
        load(&tally.refused),
        load(&tally.slowest_refusal_us) / 1e3,
        load(&tally.slow_refusals)
    );
    let (returned, admitted) = (load(&tally.returned), load(&tally.admitted));
    println!("retried at the reserved time: {returned}, admitted {:.1} %", 100.0 * admitted / returned);
    println!(
        "resident: {before} MiB before, {} MiB half way, {} MiB at the end",
        middle.unwrap_or(before),
        resident_mib()
    );
    scheduler.stop().await;
}

async fn start() -> Arc<LocalScheduler> {
    let cost = CostModel { decode_step_ms: 8.0, decode_ms_per_sequence: 0.5, ..CostModel::default() };
    let factory = SimulatedFactory::new("simulated", SimulatedConfig { cost, ..SimulatedConfig::default() });
    let mut config = SchedulerConfig::new("overload", "simulated");
    config.queue.requests_max = 64;
    let scheduler = LocalScheduler::start(config, Arc::new(factory.expect("a valid configuration")));
    let serving = |snapshot: &hostler_scheduler::SchedulerSnapshot| snapshot.state == SchedulerState::Serving;
    scheduler.snapshot().wait_for(serving).await.expect("the scheduler lives");
    scheduler
}

/// 10 to 40 tokens in, 16 to 64 out.
fn request(random: &mut StdRng) -> GenerationRequest {
    let prompt: Vec<TokenId> = (0..random.random_range(10..=40)).map(|_| random.random_range(1..256)).collect();
    let mut request = GenerationRequest::new("simulated".into(), Prompt::Tokens(prompt));
    request.stop.max_tokens = Some(random.random_range(16..=64));
    request
}

async fn unloaded_maximum(scheduler: &LocalScheduler, time: Duration) -> f64 {
    let start = Instant::now();
    let clients = (0..8).map(|client| async move {
        let mut random = StdRng::seed_from_u64(client);
        let mut finished = 0_u32;
        while start.elapsed() < time {
            let generation = scheduler.submit(request(&mut random)).await.expect("there is room");
            read(generation).await.expect("it finishes");
            finished += 1;
        }
        finished
    });
    let finished: u32 = futures::future::join_all(clients).await.into_iter().sum();
    f64::from(finished) / start.elapsed().as_secs_f64()
}

/// Sends a request and retries it at the reserved times until it is served.
async fn client(scheduler: Arc<LocalScheduler>, request: GenerationRequest, tally: Arc<Tally>, end: Instant) {
    let mut returns = false;
    loop {
        let sent = Instant::now();
        let answer = scheduler.submit(request.clone()).await;
        if returns {
            tally.returned.fetch_add(1, Ordering::Relaxed);
            tally.admitted.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
        }
        match answer {
            Ok(generation) => {
                let end_of_it = read(generation).await;
                if Instant::now() < end {
                    end_of_it.expect("an admitted request is served");
                    tally.finished.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            Err(error) => {
                if Instant::now() > end {
                    return;
                }
                assert_eq!(error.code, ErrorCode::Overloaded);
                let took = sent.elapsed();
                tally.refused.fetch_add(1, Ordering::Relaxed);
                tally.slow_refusals.fetch_add(u64::from(took > REFUSAL_MAX), Ordering::Relaxed);
                tally.slowest_refusal_us.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
                // As in the HTTP header: whole seconds, rounded up.
                let wait = error.retry_after.expect("it has a retry time").as_secs_f64().ceil();
                tokio::time::sleep(Duration::from_secs_f64(wait)).await;
                returns = true;
            }
        }
    }
}

async fn read(mut generation: Generation) -> Result<(), RequestError> {
    while let Some(event) = generation.events.next().await {
        match event {
            TokenEvent::Finished(_) => return Ok(()),
            TokenEvent::Failed(error) => return Err(error),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
    }
    unreachable!("a stream always has a final event")
}

fn load(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

/// Resident memory of this process; 0 where /proc is not available.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}
