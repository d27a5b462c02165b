//! Waiting for schedulers and reading their answers.

use std::time::{Duration, Instant};

use futures::StreamExt;
use hostler_protocol::{FinishReason, RequestError, TokenEvent};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, SchedulerState};

/// The longest wait before a test fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until the scheduler's snapshot meets a condition.
///
/// # Panics
/// If it does not within ten seconds.
pub async fn until(scheduler: &dyn Scheduler, what: &str, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
    let mut snapshot = scheduler.snapshot();
    let reached = tokio::time::timeout(TIMEOUT, snapshot.wait_for(condition)).await;
    assert!(
        matches!(reached, Ok(Ok(_))),
        "not reached within {TIMEOUT:?}: {what}; {:?}",
        scheduler.snapshot().borrow().clone()
    );
}

/// Waits until the scheduler serves.
///
/// # Panics
/// If it does not within ten seconds.
pub async fn serving(scheduler: &dyn Scheduler) {
    until(scheduler, "serving", |snapshot| snapshot.state == SchedulerState::Serving).await;
}

/// Polls a condition that no snapshot shows.
///
/// # Panics
/// If it is not met within ten seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < TIMEOUT, "not reached within {TIMEOUT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether nothing is running, queued or reserved.
#[must_use]
pub fn is_idle(snapshot: &SchedulerSnapshot) -> bool {
    snapshot.running == 0
        && snapshot.waiting_total() == 0
        && snapshot.kv_reserved_tokens == 0
        && snapshot.outstanding_tokens == 0
}

/// Reads an answer to its end. Returns the number of tokens and how it ended.
///
/// # Panics
/// If the stream ends without a final event, or an event follows it.
pub async fn read(mut generation: Generation) -> (usize, Result<FinishReason, RequestError>) {
    let mut tokens = 0;
    while let Some(event) = generation.events.next().await {
        let end = match event {
            TokenEvent::Started(_) => continue,
            TokenEvent::Token(_) => {
                tokens += 1;
                continue;
            }
            TokenEvent::Finished(finish) => Ok(finish.reason),
            TokenEvent::Failed(error) => Err(error),
        };
        assert!(generation.events.next().await.is_none(), "an event after the final one");
        return (tokens, end);
    }
    panic!("the stream ended without a final event after {tokens} tokens");
}
