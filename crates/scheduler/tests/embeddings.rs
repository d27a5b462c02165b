//! Embeddings: limited in number, and refused under a claim.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_protocol::{ClaimDrain, ClaimRequest, EmbeddingInput, ErrorCode};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerState};
use support::{FakeFactory, config, serving, until};

async fn simulated() -> Arc<LocalScheduler> {
    let factory = SimulatedFactory::new("m", SimulatedConfig::default()).expect("the defaults are allowed");
    let scheduler = LocalScheduler::start(config(), Arc::new(factory));
    until(&scheduler, "serving", |snapshot| snapshot.state == SchedulerState::Serving).await;
    scheduler
}

fn texts(texts: &[&str]) -> Vec<EmbeddingInput> {
    texts.iter().map(|&text| EmbeddingInput::Text(text.into())).collect()
}

#[actix::test]
async fn each_text_gets_a_vector_and_its_tokens_are_counted() {
    let scheduler = simulated().await;
    let both = scheduler.embed(texts(&["one text", "another"])).await.expect("it serves");
    let alone = scheduler.embed(texts(&["another"])).await.expect("it serves");
    assert_eq!(both.vectors[1], alone.vectors[0]);
    assert_ne!(both.vectors[0], both.vectors[1]);
    assert!(both.prompt_tokens > alone.prompt_tokens && alone.prompt_tokens > 0);
    scheduler.stop().await;
}

#[actix::test]
async fn one_invalid_text_refuses_the_request_with_its_index() {
    let scheduler = simulated().await;
    let mut inputs = texts(&["fine"]);
    for (wrong, says) in [(vec![], "empty"), (vec![1; 100_000], "100000"), (vec![u32::MAX], "4294967295")] {
        inputs.truncate(1);
        inputs.push(EmbeddingInput::Tokens(wrong));
        let error = scheduler.embed(inputs.clone()).await.expect_err("the text is invalid");
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("input")));
        assert!(error.message.contains("input 1") && error.message.contains(says), "{error}");
    }
    scheduler.stop().await;
}

#[actix::test]
async fn an_engine_without_embeddings_refuses() {
    let (factory, _) = FakeFactory::new();
    let scheduler = serving(config(), factory).await;
    let error = scheduler.embed(texts(&["a"])).await.expect_err("not supported");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("does not support embeddings"), "{error}");
    scheduler.stop().await;
}

#[actix::test]
async fn a_claimed_scheduler_refuses_embeddings() {
    let scheduler = simulated().await;
    let claim = ClaimRequest { owner: "a test".into(), ttl: Duration::from_secs(60), drain: ClaimDrain::Wait };
    let token = scheduler.claim(claim).await.expect("it serves");
    let mut snapshots = scheduler.snapshot();
    snapshots.wait_for(|snapshot| snapshot.state == SchedulerState::Claimed).await.expect("it lives");
    let error = scheduler.embed(texts(&["a"])).await.expect_err("it is claimed");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(scheduler.release(token).await.expect("it lives"));
    snapshots.wait_for(|snapshot| snapshot.state == SchedulerState::Serving).await.expect("it lives");
    scheduler.embed(texts(&["a"])).await.expect("it serves again");
    scheduler.stop().await;
}

#[actix::test]
async fn requests_beyond_the_limit_are_refused() {
    let scheduler = simulated().await;
    // Long enough to be tokenized on a blocking thread, so that all of them overlap.
    let long = EmbeddingInput::Text("a ".repeat(5_000));
    let answers = join_all((0..20).map(|_| scheduler.embed(vec![long.clone()]))).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    let overloaded = refused.iter().filter(|error| error.code == ErrorCode::Overloaded).count();
    // Eight at once, plus those that arrive after one of them has ended.
    assert!((1..=12).contains(&overloaded), "{overloaded} of 20: {refused:?}");
    assert!(refused.iter().filter_map(|error| error.retry_after).all(|after| after > Duration::ZERO));
    scheduler.stop().await;
}
