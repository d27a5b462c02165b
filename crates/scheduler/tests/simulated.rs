//! The scheduler on the simulated engine, whose probe counts wasted steps.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use hostler_executor::simulated::{CostModel, FaultKind, SimulatedConfig, SimulatedFactory, SimulatedProbe};
use hostler_protocol::{ErrorCode, FinishReason};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use support::{config, eventually, is_idle, read, request, until};

async fn serving(config: SchedulerConfig, cost: CostModel) -> (Arc<LocalScheduler>, SimulatedProbe) {
    let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
    let factory = SimulatedFactory::new("fake", engine).expect("a valid configuration");
    let probe = factory.probe();
    let scheduler = LocalScheduler::start(config, Arc::new(factory));
    until(&scheduler, "serving", |snapshot| snapshot.state == SchedulerState::Serving).await;
    (scheduler, probe)
}

/// A millisecond a step.
fn quick() -> CostModel {
    CostModel { decode_step_ms: 1.0, ..CostModel::FREE }
}

#[actix::test]
async fn a_dropped_request_wastes_at_most_one_step() {
    let mut config = config();
    config.queue.requests_max = 4096;
    let (scheduler, probe) = serving(config, quick()).await;
    let cancelled = join_all((0_usize..1000).map(|number| {
        let scheduler = &scheduler;
        async move {
            let mut generation = scheduler.submit(request(5, 12)).await.expect("room");
            if number % 2 == 0 {
                assert_eq!(read(generation).await, (12, Ok(FinishReason::Length)));
                return 0;
            }
            for _ in 0..number % 11 {
                generation.events.next().await.expect("it goes on");
            }
            1
        }
    }))
    .await;
    let cancelled: u64 = cancelled.into_iter().sum();
    until(&scheduler, "idle", is_idle).await;
    eventually("the engine holds nothing", || probe.sequences() == 0).await;
    assert_eq!(cancelled, 500);
    assert!(probe.wasted_steps() <= cancelled, "{} wasted steps", probe.wasted_steps());
    scheduler.stop().await;
}

#[actix::test]
async fn every_request_is_answered_whatever_fault_the_engine_has() {
    for fault in [FaultKind::Panic, FaultKind::Hang, FaultKind::Fail] {
        let (scheduler, probe) = serving(config(), quick()).await;
        let mut generations = Vec::new();
        for _ in 0..50 {
            generations.push(scheduler.submit(request(10, 200)).await.expect("room"));
        }
        until(&scheduler, "under way", |snapshot| snapshot.running == 8 && snapshot.steps > 2).await;
        probe.inject(fault);
        let answers = join_all(generations.into_iter().map(read));
        let answers = tokio::time::timeout(Duration::from_secs(20), answers).await.expect("all are answered");
        let mut failed = 0;
        for (tokens, end) in answers {
            match end {
                Ok(_) => assert_eq!(tokens, 200),
                Err(error) => {
                    assert!(matches!(error.code, ErrorCode::EngineFailed | ErrorCode::Unavailable), "{error:?}");
                    failed += 1;
                }
            }
        }
        assert!(failed > 0, "{fault:?} had an effect");
        until(&scheduler, "it serves again", |snapshot| snapshot.state == SchedulerState::Serving).await;
        let generation = scheduler.submit(request(10, 20)).await.expect("it serves again");
        assert_eq!(read(generation).await, (20, Ok(FinishReason::Length)), "after {fault:?}");
        scheduler.stop().await;
    }
}
