//! Measures the cost of a routing decision by the number of schedulers: `cargo run -p
//! hostler-router --example decision_cost`. The schedulers admit everything and answer
//! with one event, so the rest of a request costs the same for any number of them.

use std::time::{Duration, Instant};

use actix::{Arbiter, System};
use futures::StreamExt;
use hostler_protocol::{GenerationRequest, Prompt, SessionId};
use hostler_router::{Router, RouterConfig, RoutingPolicy};
use hostler_testkit::{FakeBehaviour, FakeScheduler};

/// Requests of one measurement, of which the fastest repetition counts.
const REQUESTS: u32 = 500;
const REPEATS: u32 = 7;

fn main() {
    println!("policy, schedulers, microseconds per request");
    System::new().block_on(async {
        for policy in RoutingPolicy::ALL {
            for count in [1, 10, 100, 1000] {
                let cost = measure(policy, count).await;
                println!("{}, {count}, {:.1}", policy.as_str(), cost.as_secs_f64() * 1e6);
            }
        }
    });
}

async fn measure(policy: RoutingPolicy, count: usize) -> Duration {
    let config = RouterConfig { policy, slow_start: Duration::ZERO, ..RouterConfig::default() };
    let router = Router::start(config, &Arbiter::current());
    for number in 0..count {
        let scheduler = FakeScheduler::new(&format!("worker-{number}.scheduler"), FakeBehaviour::Finish);
        scheduler.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = number as u64 % 97);
        if router.add(scheduler).await.is_err() {
            return Duration::MAX;
        }
    }
    let prompt = "You are a helpful assistant. Answer briefly and to the point. ".repeat(20);
    let mut fastest = Duration::MAX;
    for _ in 0..REPEATS {
        let started = Instant::now();
        for number in 0..REQUESTS {
            let mut request = GenerationRequest::new("m".into(), Prompt::Text(prompt.clone()));
            request.session = Some(SessionId::new(format!("session-{number}")));
            if let Ok(mut generation) = router.generate(request).await {
                while generation.events.next().await.is_some() {}
            }
        }
        fastest = fastest.min(started.elapsed() / REQUESTS);
    }
    fastest
}
