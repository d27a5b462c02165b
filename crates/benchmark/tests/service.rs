//! The benchmark service over a real router, schedulers and the simulated engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use hostler_benchmark::{Benchmarks, BenchmarksConfig, ClaimTerms, CompatRequest, Layer, Order, Status};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::ErrorCode;
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// Longer than anything here takes, unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

struct Fixture {
    benchmarks: Benchmarks,
    schedulers: Vec<Arc<LocalScheduler>>,
}

impl Fixture {
    async fn start(count: usize, config: BenchmarksConfig) -> Self {
        let router = Router::start(RouterConfig::default(), &Arbiter::current());
        let mut schedulers = Vec::new();
        for n in 0..count {
            let cost = CostModel { decode_step_ms: 1.0, ..CostModel::FREE };
            let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
            let factory = SimulatedFactory::new("m", engine).expect("the settings are allowed");
            let scheduler =
                LocalScheduler::start(SchedulerConfig::new(format!("s{n}").as_str(), "m"), Arc::new(factory));
            router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
            schedulers.push(scheduler);
        }
        let benchmarks = Benchmarks::start(config, None, router, Arc::new(())).expect("the folder can be used");
        let fixture = Self { benchmarks, schedulers };
        for n in 0..count {
            fixture.wait_until_free(n).await;
        }
        fixture
    }

    async fn wait_for(&self, n: usize, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.schedulers[n].snapshot();
        within("a state", snapshot.wait_for(condition)).await.expect("the scheduler lives");
    }

    async fn wait_until_free(&self, n: usize) {
        self.wait_for(n, |now| now.state == SchedulerState::Serving && now.claim.is_none()).await;
    }
}

fn small() -> Order {
    let max_tokens = "4".parse().expect("a length");
    Order {
        requests: Some(4),
        max_tokens,
        claim: ClaimTerms { min_serving: 0, ..ClaimTerms::default() },
        ..Order::default()
    }
}

fn endless() -> Order {
    Order { requests: Some(100_000), max_tokens: "100".parse().expect("a length"), ..small() }
}

fn kept_in(folder: &Path) -> BenchmarksConfig {
    BenchmarksConfig { store: Some(folder.to_owned()), ..BenchmarksConfig::default() }
}

#[actix::test]
async fn results_survive_a_restart_and_the_oldest_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = BenchmarksConfig { kept_max: 2, ..kept_in(folder.path()) };
    let fixture = Fixture::start(1, config.clone()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(within("a benchmark", fixture.benchmarks.run(small())).await.expect("it is measured").id);
    }
    fixture.benchmarks.stop().await;
    drop(fixture);
    let fixture = Fixture::start(1, config).await;
    let kept: Vec<_> = fixture.benchmarks.list().await.expect("it runs").into_iter().map(|record| record.id).collect();
    assert_eq!(kept, ids[1..]);
    let record = fixture.benchmarks.get(&ids[2]).await.expect("it is kept");
    assert_eq!(record.status, Status::Done);
    assert!(record.result.is_some_and(|result| result.series[0].runs[0].output_tokens == 16));
    assert_eq!(fixture.benchmarks.get(&ids[0]).await.expect_err("it was removed").code, ErrorCode::NotFound);
}

#[actix::test]
async fn stopping_releases_every_claim() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Fixture::start(1, kept_in(folder.path())).await;
    let running = fixture.benchmarks.submit(endless()).await.expect("a free place in the queue");
    let waiting = fixture.benchmarks.submit(small()).await.expect("a free place in the queue");
    fixture.wait_for(0, |now| now.state == SchedulerState::Claimed && now.running > 0).await;
    within("the end", fixture.benchmarks.stop()).await;
    fixture.wait_until_free(0).await;
    assert_eq!(fixture.benchmarks.submit(small()).await.expect_err("it has ended").code, ErrorCode::Unavailable);
    let restarted = Fixture::start(1, kept_in(folder.path())).await;
    for id in [running, waiting] {
        assert_eq!(restarted.benchmarks.get(&id).await.expect("it is kept").status, Status::Cancelled);
    }
}

#[actix::test]
async fn a_lost_claim_ends_the_benchmark() {
    let fixture = Fixture::start(1, BenchmarksConfig::default()).await;
    let id = fixture.benchmarks.submit(endless()).await.expect("a free place in the queue");
    fixture.wait_for(0, |now| now.state == SchedulerState::Claimed).await;
    let token = fixture.schedulers[0].snapshot().borrow().claim.clone().expect("a claim").token;
    assert_eq!(fixture.schedulers[0].release(token).await, Ok(true));
    let mut status = fixture.benchmarks.progress(&id).await.expect("it is known").status();
    within("the end", status.wait_for(|status| status.is_final())).await.expect("the service lives");
    let record = fixture.benchmarks.get(&id).await.expect("it is kept");
    assert_eq!(record.status, Status::Failed);
    assert!(record.error.is_some_and(|error| error.message.contains("lost")));
    fixture.wait_until_free(0).await;
}

#[actix::test]
async fn dropping_the_future_during_submission_cancels_the_benchmark() {
    let fixture = Fixture::start(1, BenchmarksConfig::default()).await;
    let mut run = Box::pin(fixture.benchmarks.run(endless()));
    // The order arrives, but its sender is dropped before the reply.
    assert!(futures::poll!(&mut run).is_pending());
    let listed = fixture.benchmarks.list().await.expect("it runs");
    drop(run);
    let [record] = &listed[..] else { panic!("it arrived: {listed:?}") };
    let mut status = fixture.benchmarks.progress(&record.id).await.expect("it is known").status();
    let status = *within("the end", status.wait_for(|status| status.is_final())).await.expect("the service lives");
    assert_eq!(status, Status::Cancelled);
    fixture.wait_until_free(0).await;
}

#[actix::test]
async fn a_benchmark_is_ended_at_its_time_limit() {
    let config = BenchmarksConfig { time_max: Duration::from_secs(3), ..BenchmarksConfig::default() };
    let fixture = Fixture::start(1, config).await;
    let error = within("the end", fixture.benchmarks.run(endless())).await.expect_err("it would last for hours");
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    fixture.wait_until_free(0).await;
}

#[actix::test]
async fn the_queue_is_bounded() {
    let config = BenchmarksConfig { queue_max: 1, ..BenchmarksConfig::default() };
    let fixture = Fixture::start(1, config).await;
    for _ in 0..2 {
        fixture.benchmarks.submit(endless()).await.expect("a free place in the queue");
    }
    assert_eq!(fixture.benchmarks.submit(small()).await.expect_err("it is full").code, ErrorCode::Overloaded);
    fixture.benchmarks.stop().await;
}

#[actix::test]
async fn a_named_layer_that_is_unavailable_is_an_error() {
    // The HTTP address of this server was not set.
    let fixture = Fixture::start(1, BenchmarksConfig::default()).await;
    let order = Order { layers: vec![Layer::Http], ..small() };
    assert!(within("the end", fixture.benchmarks.run(order)).await.is_err());
    fixture.wait_until_free(0).await;
}

#[actix::test]
async fn the_compatible_api_leaves_one_scheduler_serving_if_there_are_two() {
    let fixture = Fixture::start(2, BenchmarksConfig::default()).await;
    let request = CompatRequest { requests: 4, max_tokens: 3, ..CompatRequest::default() };
    let answer =
        within("a benchmark", fixture.benchmarks.run_compat(request.clone())).await.expect("one may be claimed");
    assert_eq!((answer.total_requests, answer.failed_requests), (4, 0));
    assert!(answer.claim.is_some());
    // Two must remain serving, and there are only two.
    let error = fixture.benchmarks.run_compat(CompatRequest { min_serving: Some(2), ..request }).await;
    assert_eq!(error.expect_err("no scheduler may be claimed").param.as_deref(), Some("min_serving"));
}
