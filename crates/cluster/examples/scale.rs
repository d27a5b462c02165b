//! Measures a gateway with 10, 100 and 1,000 workers, each with one simulated scheduler that takes
//! no time: the time until all have joined, the memory, the CPU time while idle, and the CPU time
//! per request. Workers and gateway share this process, so memory and idle time are those of both
//! ends of a connection.
//!
//! ```text
//! cargo run -p hostler-cluster --example scale -- [WORKERS…]
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Arbiter, System};
use futures::{StreamExt, stream};
use hostler_cluster::membership::{Members, Roster};
use hostler_cluster::{Listen, RemoteOptions, WorkerOptions, WorkerServer};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{GenerationRequest, Prompt};
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Requests of a measurement, and how many run concurrently.
const REQUESTS: usize = 2_000;
const CONCURRENCY: usize = 16;
const ANSWER_TOKENS: u32 = 10;

/// How long the idle CPU time is measured.
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let counts: Vec<usize> = std::env::args().skip(1).map(|count| count.parse().expect("a number")).collect();
    let counts = if counts.is_empty() { vec![10, 100, 1_000] } else { counts };
    let transport = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let transport = transport.expect("threads are created");
    println!("workers, joined s, additional resident MB, idle CPU %, request p50 ms, p99 ms, CPU ms per request");
    System::new().block_on(async {
        for count in counts {
            measure(count, &transport).await;
        }
    });
    transport.shutdown_background();
}

async fn measure(count: usize, transport: &Runtime) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let schedulers: Vec<_> = (0..count).map(|_| scheduler()).collect();
    for scheduler in &schedulers {
        let loaded = scheduler.snapshot().wait_for(|now| now.state == SchedulerState::Serving).await.is_ok();
        assert!(loaded, "a simulated scheduler loads");
    }
    let before_mb = resident_mb();
    let started = Instant::now();
    let servers: Vec<_> = within(transport, || {
        schedulers.iter().enumerate().map(|(number, scheduler)| serve(folder.path(), number, scheduler)).collect()
    });
    let endpoints: Vec<String> = servers.iter().map(|server: &WorkerServer| server.listen().to_string()).collect();
    let router =
        Router::start(RouterConfig { slow_start: Duration::ZERO, ..RouterConfig::default() }, &Arbiter::current());
    let (_keep, roster) = watch::channel(Roster::fixed(&endpoints));
    let members = within(transport, || Members::follow(roster, RemoteOptions::default(), router.clone()));
    while router.schedulers().len() < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let joined = started.elapsed();
    let additional_mb = resident_mb() - before_mb;

    let (cpu, started) = (cpu_ms(), Instant::now());
    tokio::time::sleep(IDLE).await;
    let idle_percent = (cpu_ms() - cpu) / started.elapsed().as_secs_f64() / 10.0;

    let cpu = cpu_ms();
    let mut times: Vec<Duration> =
        stream::iter(0..REQUESTS).map(|_| answer(&router)).buffer_unordered(CONCURRENCY).collect().await;
    let cpu_each = (cpu_ms() - cpu) / REQUESTS as f64;
    times.sort_unstable();
    let at = |share: f64| times[(REQUESTS as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{count}, {:.2}, {additional_mb:.0}, {idle_percent:.1}, {:.2}, {:.2}, {cpu_each:.2}",
        joined.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    drop((members, servers));
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}

/// Calls a function that spawns tasks, so that they run in this runtime.
fn within<T>(runtime: &Runtime, start: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    start()
}

fn scheduler() -> Arc<LocalScheduler> {
    let engine = SimulatedConfig { cost: CostModel::FREE, ..SimulatedConfig::default() };
    let factory = SimulatedFactory::new("m", engine).expect("the settings are valid");
    LocalScheduler::start(SchedulerConfig::new("s", "m"), Arc::new(factory))
}

fn serve(folder: &Path, number: usize, scheduler: &Arc<LocalScheduler>) -> WorkerServer {
    let listen = Listen::Unix(folder.join(number.to_string()));
    let name = format!("w{number}").into();
    let options = WorkerOptions { name, version: "0".to_owned(), listen, tls: None, metrics: None };
    WorkerServer::start(options, vec![Arc::clone(scheduler) as Arc<dyn Scheduler>]).expect("it listens")
}

async fn answer(router: &Router) -> Duration {
    let started = Instant::now();
    let mut request = GenerationRequest::new("m".into(), Prompt::Tokens(vec![7; 10]));
    request.stop.max_tokens = Some(ANSWER_TOKENS);
    let mut generation = router.generate(request).await.expect("it is admitted");
    while generation.events.next().await.is_some() {}
    started.elapsed()
}

fn resident_mb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or_default();
    pages * 4096.0 / 1e6
}

/// CPU time of this process so far; 0 if /proc is not available.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    // User and system time, in ticks of 10 ms.
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}
