//! Metrics after every way in which a request can end. In a file of its own, because the
//! recorder is global to the process.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hostler_protocol::Deadline;
use hostler_scheduler::{Scheduler, SchedulerState};
use hostler_telemetry::Exporter;
use support::{FakeFactory, config, is_idle, read, request, serving, until};

/// The sum of the values of all lines with this prefix that contain a text.
fn value(exporter: &Exporter, prefix: &str, contains: &str) -> f64 {
    let text = exporter.render();
    let lines = text.lines().filter(|line| line.starts_with(prefix) && line.contains(contains));
    lines.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
}

#[actix::test]
async fn every_end_is_counted_once_and_gauges_return_to_zero() {
    let exporter = Exporter::install("here").expect("the first recorder of this process");
    let (factory, controls) = FakeFactory::new();
    let mut config = config();
    config.max_batch_size = 1;
    config.queue.requests_max = 4;
    let scheduler = serving(config, factory).await;

    // One that finishes.
    let generation = scheduler.submit(request(10, 20)).await.expect("room");
    read(generation).await.1.expect("it finishes");
    // One that can never run.
    assert!(scheduler.submit(request(3000, 1)).await.is_err());
    // One is dropped while it runs, one in the queue, and the deadline of one passes.
    let running = scheduler.submit(request(10, 2000)).await.expect("room");
    let dropped = scheduler.submit(request(10, 10)).await.expect("room");
    let mut late = request(10, 10);
    late.deadline = Deadline::after(Instant::now(), Duration::from_millis(30));
    let late = scheduler.submit(late).await.expect("room");
    drop(dropped);
    read(late).await.1.expect_err("its deadline passed");
    // More than the queue holds.
    let mut queued = Vec::new();
    while let Ok(generation) = scheduler.submit(request(10, 2000)).await {
        queued.push(generation);
    }
    drop((running, queued));
    let queued = 3.0;
    until(&scheduler, "idle", is_idle).await;
    // One that fails with the engine.
    let last = scheduler.submit(request(10, 2000)).await.expect("room");
    until(&scheduler, "it runs", |snapshot| snapshot.running == 1 && snapshot.since_last_step < Duration::from_secs(1))
        .await;
    controls.panic.store(true, Ordering::SeqCst);
    read(last).await.1.expect_err("the engine died");
    until(&scheduler, "serving again", |snapshot| snapshot.state == SchedulerState::Serving && snapshot.restarts == 1)
        .await;

    let outcome =
        |outcome: &str| value(&exporter, "hostler_scheduler_requests_total", &format!("outcome=\"{outcome}\""));
    // A client can get the end of its request just before the end is counted.
    let counted_by = Instant::now() + Duration::from_secs(10);
    while outcome("engine_failed") == 0.0 && Instant::now() < counted_by {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(outcome("length"), 1.0);
    assert_eq!(outcome("invalid_request"), 1.0);
    assert_eq!(outcome("cancelled"), 2.0 + queued);
    assert_eq!(outcome("deadline_exceeded"), 1.0);
    assert_eq!(outcome("overloaded"), 1.0);
    assert_eq!(outcome("engine_failed"), 1.0);
    assert_eq!(value(&exporter, "hostler_scheduler_restarts_total", ""), 1.0);
    for gauge in ["requests_running", "requests_waiting", "kv_reserved_tokens", "batch_occupancy_ratio"] {
        assert_eq!(value(&exporter, &format!("hostler_scheduler_{gauge}"), ""), 0.0, "{gauge}");
    }
    assert_eq!(value(&exporter, "hostler_scheduler_state", "state=\"serving\""), 1.0);
    assert_eq!(value(&exporter, "hostler_scheduler_state", ""), 1.0, "one state at a time");
    let count = |metric: &str| value(&exporter, &format!("hostler_scheduler_{metric}_seconds_count"), "");
    assert!(count("time_to_first_token") >= 2.0, "the one that finished and the one that failed at least");
    assert_eq!(count("queue"), count("request"), "every request that started has ended");
    scheduler.stop().await;
}
