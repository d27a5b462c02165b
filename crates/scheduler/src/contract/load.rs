//! Checks under load: overload, snapshots, slow readers, many disconnects.

use futures::StreamExt;
use futures::future::try_join_all;
use hostler_executor::contract::Violation;
use hostler_protocol::{ErrorCode, TokenEvent};

use super::support::{ensure, first_token, is_idle, read, refusal, request, submit, until};
use crate::Scheduler;

pub(super) async fn overloaded(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let mut running = submit(scheduler, request(10, 2000)).await?;
    first_token(&mut running).await?;
    let _waiting = (submit(scheduler, request(10, 10)).await?, submit(scheduler, request(10, 10)).await?);
    let error = refusal(scheduler, request(10, 10)).await?;
    ensure!(error.code == ErrorCode::Overloaded, "{error:?}");
    ensure!(error.retry_after.is_some_and(|after| !after.is_zero()), "there is no retry time: {error:?}");
    Ok(())
}

pub(super) async fn snapshot(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let snapshot = scheduler.snapshot().borrow().clone();
    ensure!(snapshot.id == *scheduler.id(), "the snapshot of {} is of {}", scheduler.id(), snapshot.id);
    ensure!(snapshot.batch_size_max == 1, "a batch of 1 is shown as {}", snapshot.batch_size_max);
    let description = snapshot.description.ok_or_else(|| Violation("the snapshot has no model".to_owned()))?;
    ensure!(description.model == snapshot.model, "the snapshot has two models");
    let running = submit(scheduler, request(10, 2000)).await?;
    until(scheduler, "one runs", |now| now.running == 1 && now.kv_reserved_tokens == 2010).await?;
    let waiting = submit(scheduler, request(10, 30)).await?;
    until(scheduler, "one waits", |now| now.waiting_total() == 1 && now.outstanding_tokens > 40).await?;
    until(scheduler, "steps are counted", |now| now.steps > 3).await?;
    drop((running, waiting));
    until(scheduler, "it is idle", is_idle).await
}

pub(super) async fn slow_reader(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let unread = submit(scheduler, request(10, 1500)).await?;
    for _ in 0..3 {
        let answer = read(submit(scheduler, request(10, 30)).await?).await?;
        ensure!(answer.tokens.len() == 30 && answer.end.is_ok(), "alongside a slow reader: {answer:?}");
    }
    until(scheduler, "the unread request has finished", is_idle).await?;
    let late = read(unread).await?;
    ensure!(late.tokens.len() == 1500 && late.end.is_ok(), "{} tokens, then {:?}", late.tokens.len(), late.end);
    Ok(())
}

pub(super) async fn half_dropped(scheduler: &dyn Scheduler) -> Result<(), Violation> {
    let all = (0_usize..1000).map(|number| async move {
        let mut generation = submit(scheduler, request(5, 10)).await?;
        if number % 2 == 0 {
            let answer = read(generation).await?;
            ensure!(answer.tokens.len() == 10 && answer.end.is_ok(), "{answer:?}");
            return Ok(());
        }
        // Some are dropped in the queue, some before their first token, some after it.
        for _ in 0..number % 9 {
            let event = generation.events.next().await;
            ensure!(!matches!(event, None | Some(TokenEvent::Failed(_))), "{event:?}");
        }
        Ok(())
    });
    try_join_all(all).await?;
    until(scheduler, "it is idle", is_idle).await
}
