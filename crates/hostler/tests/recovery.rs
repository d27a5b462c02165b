//! A real engine that panics under a scheduler: every request gets an answer, and the
//! scheduler recovers without a restart of the process.

#![cfg(feature = "mistralrs")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use hostler_executor_mistralrs::{Fault, MistralrsConfig, MistralrsFactory, ModelSource};
use hostler_protocol::{ErrorCode, Finish, GenerationRequest, Prompt, RequestError, TokenEvent};
use hostler_scheduler::{Generation, LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};

const REQUESTS: usize = 50;
const ANSWER_TOKENS: u32 = 4;
/// Each step produces a token: half of the tokens of the 50 requests.
const STEPS_BEFORE_THE_PANIC: u64 = REQUESTS as u64 * ANSWER_TOKENS as u64 / 2;

fn request() -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Text("Once upon a time".into()));
    request.stop.max_tokens = Some(ANSWER_TOKENS);
    request.stop.ignore_eos = true;
    request
}

async fn end(mut generation: Generation) -> Result<Finish, RequestError> {
    loop {
        match generation.events.next().await.expect("every stream has a final event") {
            TokenEvent::Finished(finish) => return Ok(finish),
            TokenEvent::Failed(error) => return Err(error),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
    }
}

async fn serving(scheduler: &LocalScheduler) {
    let mut snapshot = scheduler.snapshot();
    let serves = snapshot.wait_for(|snapshot| snapshot.state == SchedulerState::Serving);
    tokio::time::timeout(Duration::from_secs(120), serves).await.expect("it serves").expect("it lives");
}

#[actix_rt::test]
async fn fifty_requests_are_answered_though_mistral_rs_panics() {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: a panic of mistral.rs: HOSTLER_TEST_MODEL names no GGUF file");
        return;
    };
    let mut engine = MistralrsConfig::new("m".into(), ModelSource::Gguf(PathBuf::from(path)));
    engine.fault = Some(Fault::PanicAfterSteps(STEPS_BEFORE_THE_PANIC));
    let mut config = SchedulerConfig::new("s", "m");
    config.recovery.restart_backoff = Duration::from_millis(1);
    let scheduler = LocalScheduler::start(config, Arc::new(MistralrsFactory::new(engine)));
    serving(&scheduler).await;

    let mut generations = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        generations.push(scheduler.submit(request()).await.expect("there is room"));
    }
    let (mut finished, mut failed) = (0, 0);
    for end in join_all(generations.into_iter().map(end)).await {
        match end {
            Ok(finish) => {
                assert_eq!(finish.usage.completion_tokens, ANSWER_TOKENS);
                finished += 1;
            }
            Err(error) => {
                assert!(matches!(error.code, ErrorCode::EngineFailed | ErrorCode::Unavailable), "{error:?}");
                failed += 1;
            }
        }
    }
    assert_eq!(finished + failed, REQUESTS);
    assert!(finished > 0 && failed > 0, "{finished} finished and {failed} failed: the panic came in their midst");

    serving(&scheduler).await;
    assert_eq!(scheduler.snapshot().borrow().restarts, 1);
    let again = scheduler.submit(request()).await.expect("service is back");
    assert_eq!(end(again).await.expect("the fault was the first engine's").usage.completion_tokens, ANSWER_TOKENS);
    scheduler.stop().await;
}
