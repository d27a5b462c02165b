//! What happens when a worker goes, and when it comes back.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use hostler_cluster::{RemoteNode, RemoteOptions};
use hostler_protocol::{ErrorCode, FencingToken, NodeState, TokenEvent};
use hostler_scheduler::{Generation, Scheduler, SchedulerConfig, SchedulerState};
use support::proxy::Proxy;
use support::{Pair, endpoint, eventually, first_scheduler, local, quick, read, request, serve, serves, until};

/// Streams that run when the worker goes.
const STREAMS: usize = 8;

async fn begun(scheduler: &dyn Scheduler) -> Vec<Generation> {
    let mut generations = Vec::new();
    for _ in 0..STREAMS {
        let mut generation = scheduler.submit(request(2000)).await.expect("there is room");
        while !matches!(generation.events.next().await.expect("it goes on"), TokenEvent::Token(_)) {}
        generations.push(generation);
    }
    generations
}

async fn lost(scheduler: &dyn Scheduler) -> String {
    until(scheduler, |snapshot| snapshot.state == SchedulerState::Failed).await;
    let snapshot = scheduler.snapshot().borrow().clone();
    assert_eq!((snapshot.running, snapshot.waiting_total(), snapshot.outstanding_tokens), (0, 0, 0));
    snapshot.failure.expect("it says why")
}

/// All that ran has ended with the code after which another scheduler goes on.
async fn all_failed(generations: Vec<Generation>, code: ErrorCode) {
    for generation in generations {
        assert_eq!(read(generation).await.1.expect_err("its worker is gone").code, code);
    }
}

#[actix::test]
async fn a_worker_that_hangs_is_noticed_and_what_ran_there_ends() {
    let pair = Pair::quick().await;
    let proxy = Proxy::start(pair.server.listen()).await;
    let node = RemoteNode::connect(&proxy.endpoint(), &RemoteOptions::default()).expect("it is an endpoint");
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    let mut running = begun(&*scheduler).await;
    let queued = scheduler.submit(request(10)).await.expect("there is room in the queue");
    proxy.hang();
    let why = lost(&*scheduler).await;
    assert!(why.contains("no sign of life"), "{why}");
    all_failed(vec![queued], ErrorCode::Unavailable).await;
    all_failed(running.split_off(0), ErrorCode::EngineFailed).await;
    let refused = scheduler.submit(request(1)).await.err().expect("it is lost");
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(scheduler.heartbeat(FencingToken(1)).await.is_err(), "nobody knows");

    proxy.go_on();
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it is back")).await, (5, Ok(())));
    drop(node);
    pair.local.stop().await;
}

#[actix::test]
async fn connections_that_break_end_what_ran_and_come_back() {
    let pair = Pair::quick().await;
    let proxy = Proxy::start(pair.server.listen()).await;
    let node = RemoteNode::connect(&proxy.endpoint(), &RemoteOptions::default()).expect("it is an endpoint");
    let scheduler = first_scheduler(&node).await;
    serves(&*scheduler).await;
    let running = begun(&*scheduler).await;
    proxy.cut();
    all_failed(running, ErrorCode::EngineFailed).await;
    // The worker, too, has noticed that nobody wants these any more.
    until(&*pair.local, |snapshot| snapshot.running == 0 && snapshot.kv_reserved_tokens == 0).await;
    serves(&*scheduler).await;
    assert_eq!(read(scheduler.submit(request(5)).await.expect("it is back")).await, (5, Ok(())));
    drop(node);
    pair.local.stop().await;
}

#[actix::test]
async fn a_worker_that_comes_later_or_again_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listen = support::socket(&folder);
    let node = RemoteNode::connect(&endpoint(&listen), &RemoteOptions::default()).expect("it is an endpoint");
    let health = node.health();
    eventually("it says why it is not there", || {
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
        lost(&*scheduler).await;
    }
}

#[actix::test]
async fn another_version_of_the_protocol_is_refused_and_both_are_named() {
    let pair = Pair::quick().await;
    let options = RemoteOptions { protocol_version: 7, ..RemoteOptions::default() };
    let node = RemoteNode::connect(&endpoint(pair.server.listen()), &options).expect("it is an endpoint");
    let health = node.health();
    eventually("it says so", || {
        health.borrow().failure.as_ref().is_some_and(|why| why.contains("version 1") && why.contains("version 7"))
    })
    .await;
    assert!(node.schedulers().borrow().is_empty());
    pair.local.stop().await;
}

#[actix::test]
async fn a_node_that_is_let_go_takes_nothing_new_and_finishes_what_runs() {
    let pair = Pair::quick().await;
    let running = pair.remote.submit(request(50)).await.expect("it serves");
    drop(pair.node);
    assert_eq!(pair.remote.snapshot().borrow().state, SchedulerState::Stopped);
    assert_eq!(pair.remote.submit(request(1)).await.err().expect("it is let go").code, ErrorCode::Unavailable);
    assert_eq!(read(running).await, (50, Ok(())));
    pair.local.stop().await;
}

#[actix::test]
async fn a_view_says_how_a_worker_fares_and_how_long_it_has_been_silent() {
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
    // Whatever happens or does not, it says something every second.
    let heard = || {
        let now = Instant::now();
        view.status(now).last_heartbeat.map(|age| now - age)
    };
    let earlier = heard();
    eventually("a later sign of life", || heard() > earlier).await;

    local.stop().await;
    server.stop(Duration::from_secs(5)).await;
    lost(&*scheduler).await;
    let first = status();
    assert!(first.state == NodeState::Lost && first.failure.is_some(), "{first:?}");
    assert!(status().last_heartbeat > first.last_heartbeat, "its silence grows");
    drop(node);
    eventually("nobody watches it any more", || status().failure.is_some_and(|why| why.contains("member"))).await;
}

#[actix::test]
async fn what_is_no_endpoint_is_refused_with_what_is_allowed() {
    for wrong in ["", "10.0.0.2:7070", "ftp://h:1", "unix:relative", "https://h:1"] {
        let error = RemoteNode::connect(wrong, &RemoteOptions::default()).err().expect("it is no endpoint");
        assert!(error.to_string().contains("unix:/PATH"), "{error}");
    }
}
