//! Embeddings: limited in number, and refused under a claim.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_protocol::{ClaimDrain, ClaimRequest, EmbeddingInput, EmbeddingRequest, ErrorCode};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerState};
use support::{FakeFactory, config, serving, until};

async fn simulated() -> Arc<LocalScheduler> {
    // Room for texts that are long enough to be tokenized on a pool, where they overlap.
    let engine = SimulatedConfig { context_length: 16_384, ..SimulatedConfig::default() };
    let factory = SimulatedFactory::new("m", engine).expect("it is allowed");
    let scheduler = LocalScheduler::start(config(), Arc::new(factory));
    until(&scheduler, "serving", |snapshot| snapshot.state == SchedulerState::Serving).await;
    scheduler
}

fn texts(texts: &[&str]) -> EmbeddingRequest {
    of("a", texts.iter().map(|&text| EmbeddingInput::Text(text.into())).collect())
}

fn of(tenant: &str, inputs: Vec<EmbeddingInput>) -> EmbeddingRequest {
    EmbeddingRequest { tenant: tenant.into(), inputs }
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
    let mut inputs = texts(&["fine"]).inputs;
    for (wrong, says) in [(vec![], "empty"), (vec![1; 100_000], "100000"), (vec![u32::MAX], "4294967295")] {
        inputs.truncate(1);
        inputs.push(EmbeddingInput::Tokens(wrong));
        let error = scheduler.embed(of("a", inputs.clone())).await.expect_err("the text is invalid");
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
async fn a_tenant_holds_its_share_of_the_places_and_another_one_is_served() {
    let scheduler = simulated().await;
    let long = |tenant| of(tenant, vec![EmbeddingInput::Text("a ".repeat(5_000))]);
    let greedy = join_all((0..20).map(|_| scheduler.embed(long("greedy"))));
    let (answers, other) = join(greedy, scheduler.embed(long("other"))).await;
    assert!(other.is_ok(), "{other:?}");
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    let overloaded = refused.iter().filter(|error| error.code == ErrorCode::Overloaded).count();
    // Eight at once, plus those that arrive after one of them has ended.
    assert!((1..=12).contains(&overloaded), "{overloaded} of 20: {refused:?}");
    assert!(refused.iter().filter_map(|error| error.retry_after).all(|after| after > Duration::ZERO));
    scheduler.stop().await;
}

#[actix::test]
async fn a_drain_waits_for_embeddings() {
    let scheduler = simulated().await;
    let long = of("a", vec![EmbeddingInput::Text("a ".repeat(5_000)); 3]);
    let mut embeddings = Box::pin(scheduler.embed(long));
    assert!(futures::poll!(&mut embeddings).is_pending());
    let (drained, embeddings) = join(scheduler.drain(), embeddings).await;
    assert_eq!((drained, embeddings.map(|embeddings| embeddings.vectors.len())), ((), Ok(3)));
    assert!(scheduler.embed(texts(&["a"])).await.is_err(), "it drains");
    scheduler.stop().await;
}
