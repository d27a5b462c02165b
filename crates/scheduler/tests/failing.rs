//! Engines that die, hang or cannot be loaded: every request is answered and the
//! scheduler recovers.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hostler_protocol::{ErrorCode, FinishReason};
use hostler_scheduler::{Generation, LocalScheduler, Scheduler, SchedulerState};
use support::{FakeFactory, config, eventually, is_idle, read, request, serving, until};

/// Fifty requests, of which eight run.
async fn fifty(scheduler: &LocalScheduler) -> Vec<Generation> {
    let mut generations = Vec::new();
    for _ in 0..50 {
        generations.push(scheduler.submit(request(10, 500)).await.expect("room for fifty"));
    }
    until(scheduler, "a full batch under way", |snapshot| snapshot.running == 8 && snapshot.steps >= 2).await;
    generations
}

/// Checks that all fifty end with an error that may be retried elsewhere, and that a new
/// engine serves.
async fn check_all_failed_and_service_restored(scheduler: &LocalScheduler, generations: Vec<Generation>) {
    let answers = tokio::time::timeout(Duration::from_secs(5), join_all(generations.into_iter().map(read))).await;
    let answers = answers.expect("every request is answered within five seconds");
    assert_eq!(answers.len(), 50);
    let code = |wanted| answers.iter().filter(|(_, end)| end.as_ref().is_err_and(|error| error.code == wanted)).count();
    let (failed, unavailable) = (code(ErrorCode::EngineFailed), code(ErrorCode::Unavailable));
    assert!(failed >= 8, "those that ran: {failed}");
    assert_eq!(failed + unavailable, 50);
    until(scheduler, "serving again", |snapshot| snapshot.state == SchedulerState::Serving && snapshot.restarts == 1)
        .await;
    assert!(is_idle(&scheduler.snapshot().borrow()));
    let generation = scheduler.submit(request(10, 20)).await.expect("it serves again");
    assert_eq!(read(generation).await, (20, Ok(FinishReason::Length)));
}

#[actix::test]
async fn an_engine_that_panics_is_replaced() {
    let (factory, controls) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let generations = fifty(&scheduler).await;
    controls.panic.store(true, Ordering::SeqCst);
    check_all_failed_and_service_restored(&scheduler, generations).await;
    assert_eq!(controls.loads.load(Ordering::SeqCst), 2);
    assert!(controls.given.load(Ordering::SeqCst) <= 8 + 8 + 1, "queued requests were started on the dead engine");
    scheduler.stop().await;
    assert_eq!(controls.threads.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_hung_engine_is_replaced_and_its_clients_are_answered_at_once() {
    let (factory, controls) = FakeFactory::new();
    let mut config = config();
    config.recovery.watchdog = Duration::from_millis(300);
    let scheduler = serving(config, factory).await;
    let generations = fifty(&scheduler).await;
    controls.hang.store(true, Ordering::SeqCst);
    let hung = Instant::now();
    let answers = join_all(generations.into_iter().map(read)).await;
    assert!(hung.elapsed() < Duration::from_secs(3), "answered while the engine hangs: {:?}", hung.elapsed());
    let failed =
        answers.iter().filter(|(_, end)| end.as_ref().is_err_and(|error| error.code == ErrorCode::EngineFailed));
    assert_eq!(failed.count(), 8, "those that ran; the others can be retried elsewhere");
    assert!(answers.iter().all(|(_, end)| end.is_err()));
    controls.hang.store(false, Ordering::SeqCst);
    until(&scheduler, "serving again", |snapshot| snapshot.state == SchedulerState::Serving && snapshot.restarts == 1)
        .await;
    let generation = scheduler.submit(request(10, 20)).await.expect("it serves again");
    assert_eq!(read(generation).await.0, 20);
    scheduler.stop().await;
    eventually("the hung engine has ended", || controls.threads.load(Ordering::SeqCst) == 0).await;
}

#[actix::test]
async fn loading_is_retried_within_the_restart_limit() {
    let (factory, controls) = FakeFactory::new();
    controls.unloadable.store(true, Ordering::SeqCst);
    let mut config = config();
    config.recovery.restarts_max = 3;
    config.recovery.restart_window = Duration::from_millis(1500);
    let scheduler = LocalScheduler::start(config, factory);
    eventually("four loads", || controls.loads.load(Ordering::SeqCst) == 4).await;
    until(&scheduler, "failed", |snapshot| snapshot.state == SchedulerState::Failed).await;
    let failure = scheduler.snapshot().borrow().failure.clone().expect("a reason");
    assert!(failure.contains("told not to load"), "{failure}");
    let error = scheduler.submit(request(1, 1)).await.err().expect("refused");
    assert_eq!(error.code, ErrorCode::Unavailable);
    controls.unloadable.store(false, Ordering::SeqCst);
    until(&scheduler, "serving after the window", |snapshot| snapshot.state == SchedulerState::Serving).await;
    assert_eq!(controls.loads.load(Ordering::SeqCst), 5, "the limit held until the window had passed");
    scheduler.stop().await;
}

#[actix::test]
async fn stopping_ends_every_request() {
    let (factory, controls) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let generations = fifty(&scheduler).await;
    scheduler.stop().await;
    for (_, end) in join_all(generations.into_iter().map(read)).await {
        assert!(matches!(end.expect_err("stopped").code, ErrorCode::EngineFailed | ErrorCode::Unavailable));
    }
    assert_eq!(controls.threads.load(Ordering::SeqCst), 0);
    assert_eq!(scheduler.snapshot().borrow().state, SchedulerState::Stopped);
}
