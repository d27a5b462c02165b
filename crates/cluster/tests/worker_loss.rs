//! Workers that are lost, and that come back.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use hostler_cluster::wire::PROTOCOL_VERSION;
use hostler_cluster::{RemoteNode, RemoteOptions};
use hostler_protocol::{ErrorCode, FencingToken, NodeState, TokenEvent};
use hostler_scheduler::{Generation, Scheduler, SchedulerConfig, SchedulerState};
use support::proxy::Proxy;
use support::{Pair, endpoint, eventually, first_scheduler, local, quick, read, request, serve, serves, until};

/// Streams that run when the worker is lost.
const STREAMS: usize = 8;

async fn start_streams(scheduler: &dyn Scheduler) -> Vec<Generation> {
    let mut generations = Vec::new();
    for _ in 0..STREAMS {
        let mut generation = scheduler.submit(request(2000)).await.expect("it is admitted");
        while !matches!(generation.events.next().await.expect("the stream continues"), TokenEvent::Token(_)) {}
        generations.push(generation);
    }
    generations
}

async fn wait_until_lost(scheduler: &dyn Scheduler) -> String {
    until(scheduler, |snapshot| snapshot.state == SchedulerState::Failed).await;
    let snapshot = scheduler.snapshot().borrow().clone();
    assert_eq!((snapshot.running, snapshot.waiting_total(), snapshot.outstanding_tokens), (0, 0, 0));
    snapshot.failure.expect("the failure has a reason")
}

/// All streams end with the code after which another scheduler may continue.
async fn all_failed(generations: Vec<Generation>, code: ErrorCode) {
    for generation in generations {
        assert_eq!(read(generation).await.1.expect_err("the worker is lost").code, code);
    }
}

#[actix::test]
async fn a_worker_that_hangs_is_lost_and_its_streams_end() {
    let pair = Pair::quick().await;
    let proxy = Proxy::start(pair.server.listen()).await;
    let node = RemoteNode::connect(&proxy.endpoint(), &RemoteOptions::default()).expect("it is an endpoint");
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    let mut running = start_streams(&*scheduler).await;
    let queued = scheduler.submit(request(10)).await.expect("there is room in the queue");
    proxy.hang();
    let why = wait_until_lost(&*scheduler).await;
    assert!(why.contains("no heartbeat"), "{why}");
    all_failed(vec![queued], ErrorCode::Unavailable).await;
    all_failed(running.split_off(0), ErrorCode::Unavailable).await;
    let refused = scheduler.submit(request(1)).await.err().expect("it is lost");
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(scheduler.heartbeat(FencingToken(1)).await.is_err(), "the worker cannot answer");

    proxy.resume();
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it is back")).await, (5, Ok(())));
    drop(node);
    pair.local.stop().await;
}

#[actix::test]
async fn broken_connections_end_their_streams_and_are_reestablished() {
    let pair = Pair::quick().await;
    let proxy = Proxy::start(pair.server.listen()).await;
    let node = RemoteNode::connect(&proxy.endpoint(), &RemoteOptions::default()).expect("it is an endpoint");
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    let running = start_streams(&*scheduler).await;
    proxy.cut();
    all_failed(running, ErrorCode::Unavailable).await;
    // The worker cancels the requests of the broken connections.
    until(&*pair.local, |snapshot| snapshot.running == 0 && snapshot.kv_reserved_tokens == 0).await;
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it is back")).await, (5, Ok(())));
    drop(node);
    pair.local.stop().await;
}

#[actix::test]
async fn a_worker_is_found_when_it_starts_late_and_when_it_restarts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listen = support::socket(&folder);
    let node = RemoteNode::connect(&endpoint(&listen), &RemoteOptions::default()).expect("it is an endpoint");
    let health = node.health();
    eventually("the health says why it is not connected", || {
        health.borrow().failure.as_ref().is_some_and(|why| why.contains("reached"))
    })
    .await;
    for round in 0..2 {
        let local = local(SchedulerConfig::new("sim", "simulated"), quick());
        let server = serve(listen.clone(), vec![Arc::clone(&local) as Arc<dyn Scheduler>]);
        let scheduler = first_scheduler(&node).await;
        serves(&*scheduler).await;
        assert_eq!(scheduler.id().as_str(), "worker-1.sim", "round {round}");
        assert_eq!(read(scheduler.submit(request(3)).await.expect("it serves")).await, (3, Ok(())));
        assert_eq!(health.borrow().failure, None);
        local.stop().await;
        server.stop(Duration::from_secs(5)).await;
        wait_until_lost(&*scheduler).await;
    }
}

#[actix::test]
async fn a_worker_that_restarts_with_other_schedulers_has_only_those() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listen = support::socket(&folder);
    let node = RemoteNode::connect(&endpoint(&listen), &RemoteOptions::default()).expect("it is an endpoint");
    let mut before: Option<Arc<dyn Scheduler>> = None;
    for name in ["first", "second"] {
        let local = local(SchedulerConfig::new(name, "simulated"), quick());
        let server = serve(listen.clone(), vec![Arc::clone(&local) as Arc<dyn Scheduler>]);
        let id = format!("worker-1.{name}");
        let schedulers = node.schedulers();
        eventually("it has the scheduler, and no other", || {
            let ids: Vec<_> = schedulers.borrow().iter().map(|scheduler| scheduler.id().as_str().to_owned()).collect();
            ids == [id.clone()]
        })
        .await;
        if let Some(before) = before.take() {
            assert_eq!(before.snapshot().borrow().state, SchedulerState::Stopped);
        }
        let scheduler = first_scheduler(&node).await;
        serves(&*scheduler).await;
        local.stop().await;
        server.stop(Duration::from_secs(5)).await;
        wait_until_lost(&*scheduler).await;
        before = Some(scheduler);
    }
}

#[actix::test]
async fn another_protocol_version_is_refused_and_both_are_named() {
    let pair = Pair::quick().await;
    let options = RemoteOptions { protocol_version: 7, ..RemoteOptions::default() };
    let node = RemoteNode::connect(&endpoint(pair.server.listen()), &options).expect("it is an endpoint");
    let health = node.health();
    eventually("the health names both versions", || {
        let ours = format!("version {PROTOCOL_VERSION}");
        health.borrow().failure.as_ref().is_some_and(|why| why.contains(&ours) && why.contains("version 7"))
    })
    .await;
    assert!(node.schedulers().borrow().is_empty());
    pair.local.stop().await;
}

#[actix::test]
async fn a_dropped_node_refuses_new_requests_and_finishes_running_ones() {
    let pair = Pair::quick().await;
    let running = pair.remote.submit(request(50)).await.expect("it serves");
    drop(pair.node);
    assert_eq!(pair.remote.snapshot().borrow().state, SchedulerState::Stopped);
    assert_eq!(pair.remote.submit(request(1)).await.err().expect("it was dropped").code, ErrorCode::Unavailable);
    assert_eq!(read(running).await, (50, Ok(())));
    pair.local.stop().await;
}

#[actix::test]
async fn a_view_shows_the_state_of_a_worker_and_the_age_of_its_heartbeat() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listen = support::socket(&folder);
    let node = RemoteNode::connect(&endpoint(&listen), &RemoteOptions::default()).expect("it is an endpoint");
    let view = node.view();
    let status = || view.status(Instant::now());
    let before = status();
    assert_eq!((before.state, &before.name, before.last_heartbeat), (NodeState::Unreached, &None, None));
    assert_eq!(before.endpoint, Some(endpoint(&listen)));

    let local = local(SchedulerConfig::new("sim", "simulated"), quick());
    let server = serve(listen, vec![Arc::clone(&local) as Arc<dyn Scheduler>]);
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    let there = status();
    assert_eq!((there.state, &there.failure), (NodeState::Connected, &None));
    assert_eq!((there.name, there.version), (Some("worker-1".into()), Some("0".to_owned())));
    assert_eq!(there.schedulers, ["worker-1.sim".into()]);
    assert_eq!(view.snapshots()[0].id, "worker-1.sim".into());
    assert!(there.last_heartbeat.is_some_and(|age| age < RemoteOptions::default().silence_max));
    // Heartbeats continue without any load.
    let heartbeat = || {
        let now = Instant::now();
        view.status(now).last_heartbeat.map(|age| now - age)
    };
    let earlier = heartbeat();
    eventually("a later heartbeat", || heartbeat() > earlier).await;

    local.stop().await;
    server.stop(Duration::from_secs(5)).await;
    wait_until_lost(&*scheduler).await;
    let first = status();
    assert!(first.state == NodeState::Lost && first.failure.is_some(), "{first:?}");
    assert!(status().last_heartbeat > first.last_heartbeat, "the age grows");
    drop(node);
    eventually("the view says that it is no longer a member", || {
        status().failure.is_some_and(|why| why.contains("member"))
    })
    .await;
}

#[actix::test]
async fn a_malformed_endpoint_is_refused_and_the_error_says_what_is_allowed() {
    for wrong in ["", "10.0.0.2:7070", "ftp://h:1", "unix:relative", "https://h:1"] {
        let error = RemoteNode::connect(wrong, &RemoteOptions::default()).err().expect("it is malformed");
        assert!(error.to_string().contains("unix:/PATH"), "{error}");
    }
}
