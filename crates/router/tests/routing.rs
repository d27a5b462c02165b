//! The router as the gateway uses it, over fake schedulers.

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use futures::StreamExt;
use hostler_protocol::{
    EmbeddingInput, EmbeddingRequest, ErrorCode, GenerationRequest, Prompt, RequestError, TokenEvent,
};
use hostler_router::{RoutedEmbeddings, Router, RouterConfig, RoutingPolicy};
use hostler_scheduler::{Scheduler, SchedulerState, TokenizeInput};
use hostler_testkit::FakeBehaviour::{Hold, Refuse};
use hostler_testkit::FakeScheduler;

fn request() -> GenerationRequest {
    GenerationRequest::new("m".into(), Prompt::Tokens(vec![1]))
}

async fn router_over(config: RouterConfig, schedulers: &[Arc<FakeScheduler>]) -> Router {
    let router = Router::start(config, &Arbiter::current());
    for scheduler in schedulers {
        router.add(Arc::clone(scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    }
    router
}

fn overloaded() -> RequestError {
    RequestError::new(ErrorCode::Overloaded, "full").with_retry_after(Duration::from_secs(2))
}

#[actix::test]
async fn requests_in_flight_count_until_their_stream_ends_or_is_dropped() {
    let (a, b) = (FakeScheduler::new("a", Hold), FakeScheduler::new("b", Hold));
    let router = router_over(RouterConfig::default(), &[Arc::clone(&a), Arc::clone(&b)]).await;
    let first = router.generate(request()).await.expect("a takes it");
    let mut second = router.generate(request()).await.expect("b takes it");
    assert_eq!((a.submitted(), b.submitted()), (1, 1), "the second request goes to the scheduler with less work");
    drop(first);
    let third = router.generate(request()).await.expect("a takes it");
    assert_eq!(a.submitted(), 2, "a dropped stream does not count any more");
    b.finish_all();
    assert!(matches!(second.events.next().await, Some(TokenEvent::Finished(_))));
    let _fourth = router.generate(request()).await.expect("b takes it");
    assert_eq!(b.submitted(), 2, "a finished stream does not count any more, even while it is held");
    drop((second, third));
}

#[actix::test]
async fn round_robin_takes_turns_whatever_the_load() {
    let (a, b) = (FakeScheduler::new("a", Hold), FakeScheduler::new("b", Hold));
    let config = RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&a), Arc::clone(&b)]).await;
    a.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 1_000_000);
    for _ in 0..6 {
        drop(router.generate(request()).await.expect("a scheduler takes it"));
    }
    assert_eq!((a.submitted(), b.submitted()), (3, 3));
}

#[actix::test]
async fn each_model_has_its_own_turns() {
    let (a, b, other) = (FakeScheduler::new("a", Hold), FakeScheduler::new("b", Hold), FakeScheduler::new("c", Hold));
    other.snapshot.send_modify(|snapshot| snapshot.model = "other".into());
    let config = RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&a), Arc::clone(&b), Arc::clone(&other)]).await;
    for _ in 0..6 {
        drop(router.generate(request()).await.expect("a or b takes it"));
        let mut second = request();
        second.model = "other".into();
        drop(router.generate(second).await.expect("the other takes it"));
    }
    assert_eq!((a.submitted(), b.submitted(), other.submitted()), (3, 3, 6));
}

#[actix::test]
async fn a_full_scheduler_is_skipped_and_an_invalid_request_is_not_retried() {
    let full = FakeScheduler::new("full", Refuse(overloaded()));
    let open = FakeScheduler::new("open", Hold);
    let router = router_over(RouterConfig::default(), &[Arc::clone(&full), Arc::clone(&open)]).await;
    for _ in 0..3 {
        let generation = router.generate(request()).await.expect("open takes it");
        assert_eq!(generation.scheduler.as_str(), "open");
    }
    let strict = FakeScheduler::new("strict", Refuse(RequestError::invalid("top_p", "no")));
    let router = router_over(RouterConfig::default(), &[Arc::clone(&strict), Arc::clone(&open)]).await;
    let error = router.generate(request()).await.err().expect("strict refuses it");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(open.submitted(), 3, "no other scheduler was asked");
}

#[actix::test]
async fn when_all_are_full_the_client_gets_retry_after() {
    let full: Vec<_> = (0..5).map(|index| FakeScheduler::new(&format!("full-{index}"), Refuse(overloaded()))).collect();
    let router = router_over(RouterConfig::default(), &full).await;
    let error = router.generate(request()).await.err().expect("all are full");
    assert_eq!(error, overloaded());
    let asked: usize = full.iter().map(|scheduler| scheduler.submitted()).sum();
    assert_eq!(asked, 3, "attempts are bounded");
}

#[actix::test]
async fn a_request_waits_while_every_scheduler_is_away_for_a_moment() {
    let scheduler = FakeScheduler::new("a", Hold);
    let router = router_over(RouterConfig::default(), &[Arc::clone(&scheduler)]).await;
    let set = |state| scheduler.snapshot.send_modify(|snapshot| snapshot.state = state);
    for state in [SchedulerState::Failed, SchedulerState::Starting, SchedulerState::Draining] {
        set(state);
        let mut asking = Box::pin(router.generate(request()));
        assert!(futures::poll!(&mut asking).is_pending(), "{state:?}");
        tokio::task::yield_now().await;
        set(SchedulerState::Serving);
        assert!(asking.await.is_ok(), "{state:?}");
    }
    set(SchedulerState::Stopped);
    let error = router.generate(request()).await.err().expect("it never comes back");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn the_wait_for_an_outage_is_bounded_and_does_not_spin() {
    let gone = FakeScheduler::new("gone", Refuse(RequestError::unavailable("the connection broke")));
    let config = RouterConfig { outage_wait: Duration::from_secs(1), ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&gone)]).await;
    let error = router.generate(request()).await.err().expect("it always refuses");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!((2..=8).contains(&gone.submitted()), "{} offers in a second", gone.submitted());

    let away = FakeScheduler::new("away", Hold);
    away.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Failed);
    let config = RouterConfig { outage_wait: Duration::ZERO, ..RouterConfig::default() };
    let router = router_over(config, &[away]).await;
    let error = router.generate(request()).await.err().expect("it does not wait");
    assert!(error.message.contains("away is failed"), "{}", error.message);
}

async fn embed(router: &Router) -> Result<RoutedEmbeddings, RequestError> {
    let inputs = vec![EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2])];
    router.embed(&"m".into(), EmbeddingRequest { tenant: "a".into(), inputs }).await
}

#[actix::test]
async fn embeddings_follow_the_policy() {
    let (a, b) = (FakeScheduler::new("a", Hold), FakeScheduler::new("b", Hold));
    let config = RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&a), Arc::clone(&b)]).await;
    a.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 1_000_000);
    for _ in 0..6 {
        assert_eq!(embed(&router).await.expect("a scheduler takes it").embeddings.vectors.len(), 2);
    }
    assert_eq!((a.submitted(), b.submitted()), (3, 3));
}

#[actix::test]
async fn embeddings_are_retried_within_the_budget() {
    let full = FakeScheduler::new("full", Refuse(overloaded()));
    let open = FakeScheduler::new("open", Hold);
    let config = RouterConfig {
        policy: RoutingPolicy::RoundRobin,
        retry_share_percent: 0,
        retries_per_second: 0,
        ..RouterConfig::default()
    };
    let router = router_over(config, &[Arc::clone(&full), Arc::clone(&open)]).await;
    for _ in 0..100 {
        assert_eq!(embed(&router).await.expect("open takes it").scheduler.as_str(), "open");
    }
    assert_eq!(embed(&router).await.err(), Some(overloaded()), "a full budget holds 100 retries");
    assert_eq!(open.submitted(), 100);
}

#[actix::test]
async fn embeddings_open_the_breaker_and_respect_it() {
    let broken = FakeScheduler::new("broken", Refuse(RequestError::new(ErrorCode::EngineFailed, "a test")));
    let well = FakeScheduler::new("well", Hold);
    let config = RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&broken), Arc::clone(&well)]).await;
    for _ in 0..12 {
        assert_eq!(embed(&router).await.expect("well takes it").scheduler.as_str(), "well");
    }
    assert_eq!(broken.submitted(), 5, "five consecutive failures open the breaker");
}

#[actix::test]
async fn the_router_itself_is_bounded() {
    let config = RouterConfig { requests_max: 2, ..RouterConfig::default() };
    let router = router_over(config, &[FakeScheduler::new("a", Hold)]).await;
    let held = (router.generate(request()).await, router.generate(request()).await);
    let error = router.generate(request()).await.err().expect("two is the maximum");
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert!(error.retry_after.is_some());
    drop(held);
    assert!(router.generate(request()).await.is_ok(), "permits are released");
}

#[actix::test]
async fn a_request_can_be_cancelled_only_while_it_is_in_flight() {
    let scheduler = FakeScheduler::new("a", Hold);
    let router = router_over(RouterConfig::default(), &[scheduler]).await;
    let request = request();
    let id = request.id;
    assert!(!router.cancel(id).await, "it is not sent yet");
    let generation = router.generate(request).await.expect("a takes it");
    assert!(router.cancel(id).await);
    drop(generation);
    assert!(!router.cancel(id).await, "it has ended");
}

#[actix::test]
async fn readiness_follows_the_schedulers_and_ends_with_the_drain() {
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    assert!(!router.is_ready(), "no model, not ready");
    let scheduler = FakeScheduler::new("a", Hold);
    router.add(Arc::clone(&scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    assert!(router.is_ready());
    scheduler.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Failed);
    assert!(!router.is_ready());
    let other = FakeScheduler::new("b", Hold);
    other.snapshot.send_modify(|snapshot| snapshot.model = "another".into());
    router.add(other as Arc<dyn Scheduler>).await.expect("the router runs");
    assert!(router.is_ready(), "one of two models is enough");
    scheduler.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Serving);
    router.drain().await;
    assert!(!router.is_ready());
    let error = router.generate(request()).await.err().expect("the router is shutting down");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn a_lost_scheduler_is_not_asked_to_tokenize() {
    let (lost, well) = (FakeScheduler::new("lost", Hold), FakeScheduler::new("well", Hold));
    lost.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Failed);
    let input = || TokenizeInput::Text { text: "t".to_owned(), add_special: true };
    let alone = router_over(RouterConfig::default(), &[Arc::clone(&lost)]).await;
    let error = alone.tokenize(&"m".into(), &"a".into(), input()).await.expect_err("it is lost");
    assert_eq!(error.code, ErrorCode::Unavailable);
    let both = router_over(RouterConfig::default(), &[lost, well]).await;
    assert!(both.tokenize(&"m".into(), &"a".into(), input()).await.is_ok());
}

#[actix::test]
async fn a_scheduler_that_comes_back_with_another_model_serves_that_one() {
    let scheduler = FakeScheduler::new("a", Hold);
    let router = router_over(RouterConfig::default(), &[Arc::clone(&scheduler)]).await;
    drop(router.generate(request()).await.expect("a serves m"));
    scheduler.snapshot.send_modify(|snapshot| snapshot.model = "other".into());
    let mut other = request();
    other.model = "other".into();
    assert!(router.generate(other).await.is_ok());
    let error = router.generate(request()).await.err().expect("m is not served any more");
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("served models: other"), "{}", error.message);
}

#[actix::test]
async fn a_loading_model_is_unavailable_and_an_unknown_one_is_not_found() {
    let scheduler = FakeScheduler::new("a", Hold);
    scheduler.snapshot.send_modify(|snapshot| {
        snapshot.description = None;
        snapshot.state = SchedulerState::Starting;
    });
    let router = router_over(RouterConfig::default(), &[scheduler]).await;
    let input = || TokenizeInput::Text { text: "t".to_owned(), add_special: true };
    let loading = router.tokenize(&"m".into(), &"a".into(), input()).await.expect_err("not loaded");
    assert_eq!(loading.code, ErrorCode::Unavailable);
    let unknown = router.tokenize(&"x".into(), &"a".into(), input()).await.expect_err("unknown");
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert!(router.remove("a".into()).await.expect("the router runs"));
    assert!(router.models().is_empty());
}
