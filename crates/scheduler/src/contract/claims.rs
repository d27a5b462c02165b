//! Checks of claims.

use std::time::Duration;

use futures::StreamExt;
use hostler_executor::contract::Violation;
use hostler_protocol::{
    ClaimDrain, ClaimRequest, ErrorCode, FencingToken, GenerationRequest, RequestError, TokenEvent,
};

use super::support::{ensure, first_token, read, refusal, request, submit, until};
use crate::{Scheduler, SchedulerState};

/// Longer than any check takes.
const TTL: Duration = Duration::from_secs(600);

fn claim(drain: ClaimDrain, ttl: Duration) -> ClaimRequest {
    ClaimRequest { owner: "a test".to_owned(), ttl, drain }
}

fn under(token: FencingToken) -> GenerationRequest {
    GenerationRequest { claim: Some(token), ..request(4, 3) }
}

fn failed(error: &RequestError) -> Violation {
    Violation(error.to_string())
}

async fn reaches(scheduler: &dyn Scheduler, state: SchedulerState) -> Result<(), Violation> {
    until(scheduler, state.as_str(), |now| now.state == state).await
}

pub(super) async fn held(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let token = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.map_err(|error| failed(&error))?;
    let shown = scheduler.snapshot().borrow().claim.clone();
    ensure!(shown.is_some_and(|claim| claim.token == token), "the snapshot does not show a granted claim");
    reaches(scheduler, SchedulerState::Claimed).await?;
    let shown = scheduler.snapshot().borrow().claim.clone();
    ensure!(
        shown.as_ref().is_some_and(|claim| (claim.token, claim.owner.as_str(), claim.ttl) == (token, "a test", TTL)),
        "it shows {shown:?}"
    );
    for other in [request(4, 3), under(FencingToken(token.0 - 1))] {
        let error = refusal(scheduler, other).await?;
        ensure!(error.code == ErrorCode::Unavailable, "a request without the token got {error:?}");
    }
    let mine = read(submit(scheduler, under(token)).await?).await?;
    ensure!(mine.tokens.len() == 3 && mine.end.is_ok(), "the holder got {mine:?}");
    let second = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await;
    ensure!(second.as_ref().is_err_and(|error| error.message.contains("a test")), "a second claim: {second:?}");

    ensure!(scheduler.heartbeat(token).await.map_err(|error| failed(&error))?, "the holder's heartbeat was refused");
    ensure!(
        !scheduler.release(FencingToken(token.0 + 1)).await.map_err(|error| failed(&error))?,
        "another token released the claim"
    );
    ensure!(scheduler.release(token).await.map_err(|error| failed(&error))?, "the holder cannot release it");
    let shown = scheduler.snapshot().borrow().claim.clone();
    ensure!(shown.is_none_or(|claim| claim.token != token), "the snapshot still shows a released claim");
    reaches(scheduler, SchedulerState::Serving).await?;
    let next = scheduler.claim(claim(ClaimDrain::Wait, TTL)).await.map_err(|error| failed(&error))?;
    ensure!(next > token, "the token after {token:?} is {next:?}");
    Ok(())
}

pub(super) async fn drains(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    for (drain, code) in [
        (ClaimDrain::Wait, None),
        (ClaimDrain::Evict, Some(ErrorCode::Unavailable)),
        (ClaimDrain::Fail, Some(ErrorCode::Cancelled)),
    ] {
        let mut others = submit(scheduler, request(4, 200)).await?;
        first_token(&mut others).await?;
        let token = scheduler.claim(claim(drain, TTL)).await.map_err(|error| failed(&error))?;
        let mut end = None;
        while let Some(event) = others.events.next().await {
            end = Some(event);
        }
        let ended = match &end {
            Some(TokenEvent::Finished(_)) => None,
            Some(TokenEvent::Failed(error)) => Some(error.code),
            _ => return Err(Violation(format!("{drain:?}: the stream has no final event"))),
        };
        ensure!(ended == code, "{drain:?} ended with {end:?}");
        reaches(scheduler, SchedulerState::Claimed).await?;
        ensure!(scheduler.release(token).await.map_err(|error| failed(&error))?, "{drain:?}: the claim has ended");
        reaches(scheduler, SchedulerState::Serving).await?;
    }
    Ok(())
}

pub(super) async fn expires(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let token =
        scheduler.claim(claim(ClaimDrain::Wait, Duration::from_millis(50))).await.map_err(|error| failed(&error))?;
    until(scheduler, "the claim has expired", |now| now.state == SchedulerState::Serving && now.claim.is_none())
        .await?;
    // The snapshot may be older than the claim; the scheduler's answer is authoritative.
    while scheduler.heartbeat(token).await.map_err(|error| failed(&error))? {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    ensure!(!scheduler.release(token).await.map_err(|error| failed(&error))?, "an expired claim could be released");
    reaches(scheduler, SchedulerState::Serving).await
}
