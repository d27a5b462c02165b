//! Claims through the handle: grant, refusal of other requests, and every way to end.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostler_protocol::{ClaimDrain, ClaimRequest, ErrorCode, FencingToken, FinishReason, GenerationRequest};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerState};
use support::{EngineControls, FakeFactory, config, read, request, until};

const TTL: Duration = Duration::from_secs(60);

fn claim(drain: ClaimDrain, ttl: Duration) -> ClaimRequest {
    ClaimRequest { owner: "a test".into(), ttl, drain }
}

async fn serving() -> (Arc<LocalScheduler>, Arc<EngineControls>) {
    let (factory, controls) = FakeFactory::new();
    (support::serving(config(), factory).await, controls)
}

async fn reaches(scheduler: &LocalScheduler, state: SchedulerState) {
    until(scheduler, state.as_str(), |snapshot| snapshot.state == state).await;
}

fn under(token: FencingToken) -> GenerationRequest {
    GenerationRequest { claim: Some(token), ..request(4, 3) }
}

async fn refusal(scheduler: &LocalScheduler, request: GenerationRequest) -> String {
    let error = scheduler.submit(request).await.err().expect("it is refused");
    assert_eq!(error.code, ErrorCode::Unavailable);
    error.message
}

#[actix::test]
async fn a_claimed_scheduler_serves_only_the_claims_requests() {
    let (scheduler, _) = serving().await;
    let token = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.expect("it is free");
    reaches(&scheduler, SchedulerState::Claimed).await;
    let shown = scheduler.snapshot().borrow().claim.clone().expect("a claim");
    assert_eq!((shown.token, shown.owner.as_str(), shown.ttl), (token, "a test", TTL));

    assert!(refusal(&scheduler, request(4, 3)).await.contains("claimed"));
    assert!(refusal(&scheduler, under(FencingToken(token.0 - 1))).await.contains("has ended"));
    let mine = scheduler.submit(under(token)).await.expect("the holder's");
    assert_eq!(read(mine).await, (3, Ok(FinishReason::Length)));

    let second = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.expect_err("it is taken");
    assert!(second.message.contains("it is claimed by a test"), "{}", second.message);

    assert!(!scheduler.release(FencingToken(token.0 + 1)).await.expect("it answers"), "another token");
    assert!(scheduler.release(token).await.expect("it answers"));
    reaches(&scheduler, SchedulerState::Serving).await;
    assert_eq!(scheduler.snapshot().borrow().claim, None);
    assert!(refusal(&scheduler, under(token)).await.contains("has ended"));
    let next = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.expect("it is free again");
    assert!(next > token, "tokens grow");
    scheduler.stop().await;
}

#[actix::test]
async fn a_claim_finishes_evicts_or_fails_running_requests_as_requested() {
    for (drain, code) in [
        (ClaimDrain::Wait, None),
        (ClaimDrain::Evict, Some(ErrorCode::Unavailable)),
        (ClaimDrain::Fail, Some(ErrorCode::Cancelled)),
    ] {
        let (scheduler, _) = serving().await;
        let others = scheduler.submit(request(4, 100)).await.expect("it serves");
        let token = scheduler.claim(claim(drain, TTL)).await.expect("it is free");
        let waiting = scheduler.submit(under(token)).await;
        assert!(waiting.is_err() || drain != ClaimDrain::Wait, "it is not empty yet");
        match (read(others).await, code) {
            ((tokens, Ok(_)), None) => assert_eq!(tokens, 100),
            ((_, Err(error)), Some(code)) => assert_eq!(error.code, code),
            (end, _) => panic!("{drain:?} ended with {end:?}"),
        }
        reaches(&scheduler, SchedulerState::Claimed).await;
        assert!(scheduler.heartbeat(token).await.expect("it answers"));
        scheduler.stop().await;
    }
}

#[actix::test]
async fn a_claim_without_heartbeats_expires() {
    let (scheduler, _) = serving().await;
    let token = scheduler.claim(claim(ClaimDrain::Wait, Duration::from_millis(50))).await.expect("it is free");
    reaches(&scheduler, SchedulerState::Serving).await;
    assert!(!scheduler.heartbeat(token).await.expect("it answers"), "too late");
    assert!(!scheduler.release(token).await.expect("it answers"), "too late");
    scheduler.stop().await;
}

#[actix::test]
async fn a_failed_engine_ends_the_claim() {
    let (scheduler, controls) = serving().await;
    let token = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.expect("it is free");
    reaches(&scheduler, SchedulerState::Claimed).await;
    controls.panic.store(true, Ordering::SeqCst);
    let mine = scheduler.submit(under(token)).await.expect("the holder's");
    // The engine may die before it takes the request, or while it runs it.
    let code = read(mine).await.1.expect_err("its engine died").code;
    assert!(matches!(code, ErrorCode::EngineFailed | ErrorCode::Unavailable), "{code:?}");
    reaches(&scheduler, SchedulerState::Serving).await;
    assert!(!scheduler.heartbeat(token).await.expect("it answers"), "the claim was on the engine that failed");
    scheduler.stop().await;
}
