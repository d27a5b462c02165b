//! Helpers of the checks.

use futures::StreamExt;
use hostler_executor::contract::Violation;
use hostler_protocol::{Finish, GenerationRequest, Prompt, RequestError, SamplingParams, TokenEvent, TokenId};

use crate::{Generation, Scheduler, SchedulerSnapshot};

/// Returns a violation from a check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($says:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(hostler_executor::contract::Violation(format!($($says)+)));
        }
    };
}
pub(super) use ensure;

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) started: bool,
    pub(super) tokens: Vec<TokenId>,
    pub(super) end: Result<Finish, RequestError>,
}

/// A greedy request with this many prompt tokens and at most `max_tokens` answer tokens.
pub(super) fn request(prompt_tokens: usize, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("simulated".into(), Prompt::Tokens(vec![7; prompt_tokens]));
    request.sampling = SamplingParams::greedy();
    request.stop.max_tokens = Some(max_tokens);
    request
}

/// Submits a request that must be admitted.
pub(super) async fn submit(scheduler: &dyn Scheduler, request: GenerationRequest) -> Result<Generation, Violation> {
    let admitted = scheduler.submit(request).await;
    admitted.map_err(|error| Violation(format!("refused with {}: {error}", error.code.as_str())))
}

/// Submits a request that must be refused.
pub(super) async fn refusal(scheduler: &dyn Scheduler, request: GenerationRequest) -> Result<RequestError, Violation> {
    match scheduler.submit(request).await {
        Ok(_) => Err(Violation("it was admitted".to_owned())),
        Err(error) => Ok(error),
    }
}

/// Reads to the end and checks the order of the events.
pub(super) async fn read(mut generation: Generation) -> Result<Answer, Violation> {
    let (mut started, mut tokens) = (false, Vec::new());
    while let Some(event) = generation.events.next().await {
        let end = match event {
            TokenEvent::Started(begun) => {
                ensure!(!started && tokens.is_empty(), "Started came late or twice");
                ensure!(
                    begun.prompt_tokens == generation.prompt_tokens,
                    "the prompt's length differs between generation and event"
                );
                started = true;
                continue;
            }
            TokenEvent::Token(token) => {
                ensure!(started, "a token came before Started");
                tokens.push(token.id);
                continue;
            }
            TokenEvent::Finished(finish) => Ok(finish),
            TokenEvent::Failed(error) => Err(error),
        };
        let more = generation.events.next().await;
        ensure!(more.is_none(), "after the final event came {more:?}");
        return Ok(Answer { started, tokens, end });
    }
    Err(Violation("the stream ended without a final event".to_owned()))
}

/// Reads up to the first token.
pub(super) async fn first_token(generation: &mut Generation) -> Result<(), Violation> {
    loop {
        match generation.events.next().await {
            Some(TokenEvent::Token(_)) => return Ok(()),
            Some(TokenEvent::Started(_)) => {}
            other => return Err(Violation(format!("instead of a token came {other:?}"))),
        }
    }
}

/// Waits until the snapshot meets a condition.
pub(super) async fn until(
    scheduler: &dyn Scheduler,
    what: &str,
    wanted: impl FnMut(&SchedulerSnapshot) -> bool,
) -> Result<(), Violation> {
    let mut snapshot = scheduler.snapshot();
    let reached = snapshot.wait_for(wanted).await;
    reached.map(drop).map_err(|_| Violation(format!("the snapshots ended before {what}")))
}

/// Whether nothing is running, queued or reserved.
pub(super) fn is_idle(snapshot: &SchedulerSnapshot) -> bool {
    snapshot.running == 0
        && snapshot.waiting_total() == 0
        && snapshot.kv_reserved_tokens == 0
        && snapshot.outstanding_tokens == 0
}
