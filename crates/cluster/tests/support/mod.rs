//! A worker and its client, in one process.

#![allow(dead_code, reason = "every test file uses a part of this")]

pub(crate) mod certificates;
pub(crate) mod proxy;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use hostler_cluster::{Listen, RemoteNode, RemoteOptions, RemoteScheduler, WorkerOptions, WorkerServer};
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{GenerationRequest, Prompt, RequestError, SamplingParams, TokenEvent};
use hostler_scheduler::{Generation, LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// Timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A scheduler, its worker, and the remote handle of it.
pub(crate) struct Pair {
    pub(crate) local: Arc<LocalScheduler>,
    pub(crate) remote: Arc<RemoteScheduler>,
    pub(crate) node: RemoteNode,
    pub(crate) server: WorkerServer,
}

impl Pair {
    pub(crate) async fn start(
        config: SchedulerConfig,
        engine: SimulatedConfig,
        listen: Listen,
        options: &RemoteOptions,
    ) -> Self {
        let local = local(config, engine);
        let server = serve(listen, vec![Arc::clone(&local) as Arc<dyn Scheduler>]);
        let node = RemoteNode::connect(&endpoint(server.listen()), options).expect("it is an endpoint");
        let remote = first_scheduler(&node).await;
        Self { local, remote, node, server }
    }

    /// A pair on a TCP port, whose engine takes a millisecond per step.
    pub(crate) async fn quick() -> Self {
        let listen = "127.0.0.1:0".parse().expect("it is an address");
        let options = RemoteOptions::default();
        let pair = Self::start(SchedulerConfig::new("sim", "simulated"), quick(), listen, &options).await;
        serves(&*pair.remote).await;
        pair
    }
}

pub(crate) fn quick() -> SimulatedConfig {
    let cost = CostModel { decode_step_ms: 1.0, decode_ms_per_sequence: 0.0, ..CostModel::FREE };
    SimulatedConfig { cost, ..SimulatedConfig::default() }
}

pub(crate) fn local(config: SchedulerConfig, engine: SimulatedConfig) -> Arc<LocalScheduler> {
    let factory = SimulatedFactory::new("simulated", engine).expect("the engine's settings are valid");
    LocalScheduler::start(config, Arc::new(factory))
}

pub(crate) fn worker_options(listen: Listen) -> WorkerOptions {
    WorkerOptions { name: "worker-1".into(), version: "0".to_owned(), listen, tls: None, metrics: None }
}

pub(crate) fn serve(listen: Listen, schedulers: Vec<Arc<dyn Scheduler>>) -> WorkerServer {
    WorkerServer::start(worker_options(listen), schedulers).expect("it can listen there")
}

pub(crate) fn endpoint(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!("http://{address}"),
        Listen::Unix(_) => listen.to_string(),
    }
}

pub(crate) fn socket(folder: &tempfile::TempDir) -> Listen {
    Listen::Unix(folder.path().join("worker.sock"))
}

pub(crate) async fn first_scheduler(node: &RemoteNode) -> Arc<RemoteScheduler> {
    let mut schedulers = node.schedulers();
    let known = tokio::time::timeout(TIMEOUT, schedulers.wait_for(|known| !known.is_empty())).await;
    Arc::clone(&known.expect("it is reached in time").expect("the node lives")[0])
}

/// Waits until the snapshot meets a condition.
pub(crate) async fn until(scheduler: &dyn Scheduler, wanted: impl FnMut(&SchedulerSnapshot) -> bool) {
    let mut snapshot = scheduler.snapshot();
    let reached = tokio::time::timeout(TIMEOUT, snapshot.wait_for(wanted)).await;
    assert!(matches!(reached, Ok(Ok(_))), "not reached: {:?}", scheduler.snapshot().borrow().clone());
}

pub(crate) async fn serves(scheduler: &dyn Scheduler) {
    until(scheduler, |snapshot| snapshot.state == SchedulerState::Serving).await;
}

/// Waits for a condition that is not part of a snapshot.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn request(max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("simulated".into(), Prompt::Tokens(vec![7; 10]));
    request.sampling = SamplingParams::greedy();
    request.stop.max_tokens = Some(max_tokens);
    request
}

/// Reads to the end. Returns the number of tokens, and how the stream ended.
pub(crate) async fn read(mut generation: Generation) -> (usize, Result<(), RequestError>) {
    let mut tokens = 0;
    loop {
        match tokio::time::timeout(TIMEOUT, generation.events.next()).await.expect("the next event arrives in time") {
            Some(TokenEvent::Token(_)) => tokens += 1,
            Some(TokenEvent::Started(_)) => {}
            Some(TokenEvent::Finished(_)) => return (tokens, Ok(())),
            Some(TokenEvent::Failed(error)) => return (tokens, Err(error)),
            None => panic!("the stream ended without a final event"),
        }
    }
}
