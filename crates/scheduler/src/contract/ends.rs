//! Checks of requests that end early: by cancellation, deadline or drain.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join;
use hostler_executor::contract::Violation;
use hostler_protocol::{Deadline, ErrorCode, TokenEvent};

use super::support::{Answer, ensure, first_token, is_idle, read, refusal, request, submit, until};
use crate::{Scheduler, SchedulerState};

pub(super) async fn dropped(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let mut running = submit(scheduler, request(10, 2000)).await?;
    first_token(&mut running).await?;
    let waiting = submit(scheduler, request(10, 10)).await?;
    until(scheduler, "one waits", |now| now.waiting_total() == 1).await?;
    drop(waiting);
    until(scheduler, "none waits", |now| now.waiting_total() == 0 && now.running == 1).await?;
    drop(running);
    until(scheduler, "it is idle", is_idle).await
}

fn failed_with(answer: &Answer, code: ErrorCode) -> bool {
    answer.end.as_ref().is_err_and(|error| error.code == code)
}

pub(super) async fn cancelled(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let (running, waiting) = (request(10, 2000), request(10, 10));
    let ids = (running.id, waiting.id);
    let mut running = submit(scheduler, running).await?;
    first_token(&mut running).await?;
    let waiting = submit(scheduler, waiting).await?;
    ensure!(scheduler.cancel(ids.1).await, "the queued request was not found");
    let answer = read(waiting).await?;
    ensure!(failed_with(&answer, ErrorCode::Cancelled) && answer.tokens.is_empty(), "{answer:?}");
    ensure!(scheduler.cancel(ids.0).await, "the running request was not found");
    while let Some(event) = running.events.next().await {
        if let TokenEvent::Failed(error) = event {
            ensure!(error.code == ErrorCode::Cancelled, "{error:?}");
        }
    }
    // Its client may see the end before the scheduler does; then it is no longer found.
    while scheduler.cancel(ids.0).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until(scheduler, "it is idle", is_idle).await
}

pub(super) async fn deadline(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let due = |milliseconds| Deadline::after(Instant::now(), Duration::from_millis(milliseconds));
    let (mut long, mut queued, mut late) = (request(10, 2000), request(10, 10), request(10, 10));
    long.deadline = due(1200);
    let running = submit(scheduler, long).await?;
    queued.deadline = due(600);
    let queued = read(submit(scheduler, queued).await?).await?;
    ensure!(failed_with(&queued, ErrorCode::DeadlineExceeded) && !queued.started, "{queued:?}");
    let ran = read(running).await?;
    ensure!(failed_with(&ran, ErrorCode::DeadlineExceeded) && !ran.tokens.is_empty(), "{:?}", ran.end);
    late.deadline = due(0);
    let error = refusal(scheduler, late).await?;
    ensure!(error.code == ErrorCode::DeadlineExceeded, "{error:?}");
    until(scheduler, "it is idle", is_idle).await
}

pub(super) async fn drained(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let mut generations = Vec::new();
    for _ in 0..12 {
        generations.push(submit(scheduler, request(10, 100)).await?);
    }
    let refused = async {
        until(scheduler, "it drains", |now| now.state == SchedulerState::Draining).await?;
        refusal(scheduler, request(1, 1)).await
    };
    let ((), refused) = join(scheduler.drain(), refused).await;
    let error = refused?;
    ensure!(error.code == ErrorCode::Unavailable, "{error:?}");
    for generation in generations {
        let answer = read(generation).await?;
        ensure!(answer.tokens.len() == 100 && answer.end.is_ok(), "the drain ended {answer:?} early");
    }
    scheduler.resume().await;
    until(scheduler, "it serves again", |now| now.state == SchedulerState::Serving).await?;
    let answer = read(submit(scheduler, request(1, 1)).await?).await?;
    ensure!(answer.end.is_ok(), "{answer:?}");
    Ok(())
}
