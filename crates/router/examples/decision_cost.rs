//! Measures what routing costs by the number of schedulers: `cargo run --release -p hostler-router
//! --example decision_cost`.
//!
//! First the decision alone (choose, count, give back; the prompt is hashed before), by one and by
//! two threads at once. Then a whole request through the router: the schedulers admit everything
//! and answer with one event, so the rest of a request costs the same for any number of them.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use actix::{Arbiter, System};
use futures::StreamExt;
use hostler_protocol::{GenerationRequest, Prompt, SessionId};
use hostler_router::{Router, RouterConfig, RoutingPolicy};
use hostler_testkit::{FakeBehaviour, FakeScheduler};

/// Decisions of one measurement by each thread.
const DECISIONS: usize = 100_000;

/// Requests of one measurement, of which the fastest repetition counts.
const REQUESTS: u32 = 2_000;
const REPEATS: u32 = 7;

fn main() {
    println!("policy, schedulers, decision p50 ns, p99 ns, decisions/s by 1 thread, by 2 threads, request us");
    System::new().block_on(async {
        for policy in RoutingPolicy::ALL {
            for count in [1, 10, 100, 1000] {
                let Some(router) = router(policy, count).await else { return };
                let (alone, median, tail) = decisions(&router, 1);
                let (together, ..) = decisions(&router, 2);
                let request = measure(&router).await.as_secs_f64() * 1e6;
                let name = policy.as_str();
                println!("{name}, {count}, {median}, {tail}, {alone:.0}, {together:.0}, {request:.1}");
            }
        }
    });
}

async fn router(policy: RoutingPolicy, count: usize) -> Option<Router> {
    let config = RouterConfig { policy, slow_start: Duration::ZERO, ..RouterConfig::default() };
    let router = Router::start(config, &Arbiter::current());
    for number in 0..count {
        let scheduler = FakeScheduler::new(&format!("worker-{number}.scheduler"), FakeBehaviour::Finish);
        scheduler.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = number as u64 % 97);
        router.add(scheduler).await.ok()?;
    }
    Some(router)
}

fn request(number: usize) -> GenerationRequest {
    // About 300 tokens.
    let prompt = "You are a helpful assistant. Answer briefly and to the point. ".repeat(20);
    let mut request = GenerationRequest::new("m".into(), Prompt::Text(prompt));
    request.session = Some(SessionId::new(format!("session-{number}")));
    request
}

/// Decisions per second of all threads, and the median and the 99th percentile of one, in
/// nanoseconds. Each thread has its own requests.
fn decisions(router: &Router, threads: usize) -> (f64, u128, u128) {
    let barrier = Barrier::new(threads);
    let mut times: Vec<Duration> = Vec::new();
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        let start = |thread: usize| {
            let decisions: Vec<_> = (0..64).map(|number| router.decision(&request(64 * thread + number))).collect();
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                let started = Instant::now();
                for number in 0..DECISIONS {
                    assert!(decisions[number % decisions.len()](), "a scheduler serves");
                }
                let total = started.elapsed();
                // Again, with a clock reading for each: these include what it costs.
                let timed = |number: usize| {
                    let started = Instant::now();
                    decisions[number % decisions.len()]();
                    started.elapsed()
                };
                (total, (0..DECISIONS).map(timed).collect::<Vec<_>>())
            })
        };
        let running: Vec<_> = (0..threads).map(start).collect();
        for thread in running {
            if let Ok((total, timed)) = thread.join() {
                slowest = slowest.max(total);
                times.extend(timed);
            }
        }
    });
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_nanos);
    ((threads * DECISIONS) as f64 / slowest.as_secs_f64(), at(50), at(99))
}

async fn measure(router: &Router) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..REPEATS {
        let started = Instant::now();
        for number in 0..REQUESTS {
            if let Ok(mut generation) = router.generate(request(number as usize)).await {
                while generation.events.next().await.is_some() {}
            }
        }
        fastest = fastest.min(started.elapsed() / REQUESTS);
    }
    fastest
}
