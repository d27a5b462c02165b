//! The benchmark service over a real router, schedulers and the simulated engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use hostler_benchmark::service::{Benchmarks, BenchmarksConfig, ClaimTerms, CompatOrder, Layer, Order, Status};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::ErrorCode;
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// Nothing here takes longer, except when it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

struct House {
    benchmarks: Benchmarks,
    schedulers: Vec<Arc<LocalScheduler>>,
}

impl House {
    async fn open(count: usize, config: BenchmarksConfig) -> Self {
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
        let benchmarks = Benchmarks::start(config, router, Arc::new(())).expect("the folder can be used");
        let house = Self { benchmarks, schedulers };
        for n in 0..count {
            house.is_free(n).await;
        }
        house
    }

    async fn shows(&self, n: usize, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.schedulers[n].snapshot();
        within("a state", snapshot.wait_for(condition)).await.expect("the scheduler lives");
    }

    async fn is_free(&self, n: usize) {
        self.shows(n, |now| now.state == SchedulerState::Serving && now.claim.is_none()).await;
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
    BenchmarksConfig { folder: Some(folder.to_owned()), ..BenchmarksConfig::default() }
}

#[actix::test]
async fn results_survive_the_process_and_the_oldest_make_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = BenchmarksConfig { kept_max: 2, ..kept_in(folder.path()) };
    let house = House::open(1, config.clone()).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(within("a benchmark", house.benchmarks.run(small())).await.expect("it is measured").id);
    }
    house.benchmarks.stop().await;
    drop(house);
    let house = House::open(1, config).await;
    let kept: Vec<_> = house.benchmarks.list().await.expect("it runs").into_iter().map(|record| record.id).collect();
    assert_eq!(kept, ids[1..]);
    let record = house.benchmarks.get(&ids[2]).await.expect("it is kept");
    assert_eq!(record.status, Status::Done);
    assert!(record.result.is_some_and(|result| result.series[0].runs[0].output_tokens == 16));
    assert_eq!(house.benchmarks.get(&ids[0]).await.expect_err("it made room").code, ErrorCode::NotFound);
}

#[actix::test]
async fn stopping_gives_every_scheduler_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(1, kept_in(folder.path())).await;
    let running = house.benchmarks.submit(endless()).await.expect("there is room");
    let waiting = house.benchmarks.submit(small()).await.expect("there is room");
    house.shows(0, |now| now.state == SchedulerState::Claimed && now.running > 0).await;
    within("the end", house.benchmarks.stop()).await;
    house.is_free(0).await;
    assert_eq!(house.benchmarks.submit(small()).await.expect_err("it has ended").code, ErrorCode::Unavailable);
    let again = House::open(1, kept_in(folder.path())).await;
    for id in [running, waiting] {
        assert_eq!(again.benchmarks.get(&id).await.expect("it is kept").status, Status::Cancelled);
    }
}

#[actix::test]
async fn a_claim_that_is_taken_away_ends_the_benchmark() {
    let house = House::open(1, BenchmarksConfig::default()).await;
    let id = house.benchmarks.submit(endless()).await.expect("there is room");
    house.shows(0, |now| now.state == SchedulerState::Claimed).await;
    let token = house.schedulers[0].snapshot().borrow().claim.clone().expect("a claim").token;
    assert_eq!(house.schedulers[0].release(token).await, Ok(true));
    let mut status = house.benchmarks.progress(&id).await.expect("it is known").status();
    within("the end", status.wait_for(|status| status.is_final())).await.expect("the service lives");
    let record = house.benchmarks.get(&id).await.expect("it is kept");
    assert_eq!(record.status, Status::Failed);
    assert!(record.error.is_some_and(|error| error.message.contains("lost")));
    house.is_free(0).await;
}

#[actix::test]
async fn who_leaves_while_the_order_is_taken_has_cancelled() {
    let house = House::open(1, BenchmarksConfig::default()).await;
    let mut run = Box::pin(house.benchmarks.run(endless()));
    // The order arrives, and who sent it does not hear of that any more.
    assert!(futures::poll!(&mut run).is_pending());
    let listed = house.benchmarks.list().await.expect("it runs");
    drop(run);
    let [record] = &listed[..] else { panic!("it arrived: {listed:?}") };
    let mut status = house.benchmarks.progress(&record.id).await.expect("it is known").status();
    let status = *within("the end", status.wait_for(|status| status.is_final())).await.expect("the service lives");
    assert_eq!(status, Status::Cancelled);
    house.is_free(0).await;
}

#[actix::test]
async fn a_benchmark_that_takes_too_long_is_ended() {
    let config = BenchmarksConfig { time_max: Duration::from_secs(3), ..BenchmarksConfig::default() };
    let house = House::open(1, config).await;
    let error = within("the end", house.benchmarks.run(endless())).await.expect_err("it would last for hours");
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    house.is_free(0).await;
}

#[actix::test]
async fn the_queue_is_bounded() {
    let config = BenchmarksConfig { queue_max: 1, ..BenchmarksConfig::default() };
    let house = House::open(1, config).await;
    for _ in 0..2 {
        house.benchmarks.submit(endless()).await.expect("there is room");
    }
    assert_eq!(house.benchmarks.submit(small()).await.expect_err("it is full").code, ErrorCode::Overloaded);
    house.benchmarks.stop().await;
}

#[actix::test]
async fn a_layer_that_is_not_there_is_refused_where_it_is_asked_for() {
    // Nobody has said where this server is reached.
    let house = House::open(1, BenchmarksConfig::default()).await;
    let order = Order { layers: vec![Layer::Http], ..small() };
    assert!(within("the end", house.benchmarks.run(order)).await.is_err());
    house.is_free(0).await;
}

#[actix::test]
async fn the_old_words_spare_the_others_where_there_are_any() {
    let house = House::open(2, BenchmarksConfig::default()).await;
    let asked = CompatOrder { requests: 4, max_tokens: 3, ..CompatOrder::default() };
    let answer = within("a benchmark", house.benchmarks.run_compat(asked.clone())).await.expect("one may be claimed");
    assert_eq!((answer.total_requests, answer.failed_requests), (4, 0));
    assert!(answer.claim.is_some());
    // Two must go on serving, and there are but two.
    let error = house.benchmarks.run_compat(CompatOrder { min_serving: Some(2), ..asked }).await;
    assert_eq!(error.expect_err("nobody may be claimed").param.as_deref(), Some("min_serving"));
}
