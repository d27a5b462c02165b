//! Measures the cost of the transport: sends the same requests through the local handle of a
//! scheduler and, in turn, through the remote handle of the same scheduler over a Unix socket. The
//! simulated engine generates 1,600 tokens/s (8 sequences, 5 ms per step), or 2,000 with STEP_MS
//! 4.
//!
//! ```text
//! cargo run -p hostler-cluster --example transport -- [ROUNDS] [STEP_MS]
//! ```

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use futures::{StreamExt, stream};
use hostler_cluster::{Listen, RemoteNode, RemoteOptions, WorkerOptions, WorkerServer};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{GenerationRequest, Prompt, TokenEvent};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};

/// Requests of a round, eight concurrently.
const REQUESTS: usize = 80;
const ANSWER_TOKENS: u32 = 100;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<f64>().expect("numbers are expected"));
    let rounds = numbers.next().unwrap_or(5.0) as usize;
    let step_ms = numbers.next().unwrap_or(5.0);
    // The transport runs on threads of its own, as in the product.
    let transport = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let transport = transport.expect("threads are created");
    actix::System::new().block_on(compare(rounds, step_ms, &transport));
    transport.shutdown_background();
}

async fn compare(rounds: usize, step_ms: f64, transport: &tokio::runtime::Runtime) {
    let cost = CostModel { decode_step_ms: step_ms, decode_ms_per_sequence: 0.0, ..CostModel::FREE };
    let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
    let factory = SimulatedFactory::new("simulated", engine).expect("the settings are valid");
    let local = LocalScheduler::start(SchedulerConfig::new("transport", "simulated"), Arc::new(factory));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, node) = {
        let _entered = transport.enter();
        let listen = Listen::Unix(folder.path().join("worker.sock"));
        let endpoint = listen.to_string();
        let options = WorkerOptions { name: "w".into(), version: "0".to_owned(), listen, tls: None, metrics: None };
        let server = WorkerServer::start(options, vec![Arc::clone(&local) as Arc<dyn Scheduler>]).expect("it listens");
        (server, RemoteNode::connect(&endpoint, &RemoteOptions::default()).expect("it is an endpoint"))
    };
    let mut known = node.schedulers();
    let remote = Arc::clone(&known.wait_for(|known| !known.is_empty()).await.expect("it connects")[0]);
    remote.snapshot().wait_for(|now| now.state == SchedulerState::Serving).await.expect("it serves");

    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let (here, here_cpu) = tokens_per_second(&*local).await;
        let (there, there_cpu) = tokens_per_second(&*remote).await;
        println!(
            "local {here:.0} tokens/s, {here_cpu:.1} ms CPU per 1,000; gRPC {there:.0} tokens/s, {there_cpu:.1} ms CPU \
             per 1,000; {:.1} %",
            100.0 * there / here
        );
        ratios.push(there / here);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median: {:.1} % of the local handle", 100.0 * ratios[ratios.len() / 2]);
    drop((node, server));
    local.stop().await;
}

/// Tokens per second, and milliseconds of CPU time per 1,000 tokens.
async fn tokens_per_second(scheduler: &dyn Scheduler) -> (f64, f64) {
    let (started, cpu) = (Instant::now(), cpu_ms());
    let clients = (0..8).map(|_| async {
        stream::iter(0..REQUESTS / 8).fold(0_u32, |sum, _| async move { sum + answer(scheduler).await }).await
    });
    let tokens = f64::from(join_all(clients).await.into_iter().sum::<u32>());
    (tokens / started.elapsed().as_secs_f64(), (cpu_ms() - cpu) / tokens * 1e3)
}

async fn answer(scheduler: &dyn Scheduler) -> u32 {
    let mut request = GenerationRequest::new("simulated".into(), Prompt::Tokens(vec![7; 10]));
    request.stop.max_tokens = Some(ANSWER_TOKENS);
    let generation = scheduler.submit(request).await.expect("it is admitted");
    generation.events.filter(|event| std::future::ready(matches!(event, TokenEvent::Token(_)))).count().await as u32
}

/// CPU time of this process so far; 0 if /proc is not available.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    // User and system time, in ticks of 10 ms.
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}
