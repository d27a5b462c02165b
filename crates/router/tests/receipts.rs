//! Receipts say what was decided for a request and how it ended.

use std::sync::Arc;

use actix::Arbiter;
use hostler_protocol::{EmbeddingInput, ErrorCode, GenerationRequest, Prompt, RequestError};
use hostler_router::{ReceiptEnd, Router, RouterConfig, RoutingPolicy};
use hostler_scheduler::Scheduler;
use hostler_testkit::FakeBehaviour::{Finish, Hold, Refuse};
use hostler_testkit::FakeScheduler;

async fn router_over(config: RouterConfig, schedulers: &[Arc<FakeScheduler>]) -> Router {
    let router = Router::start(config, &Arbiter::current());
    for scheduler in schedulers {
        router.add(Arc::clone(scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    }
    router
}

fn request(text: &str) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Text(text.to_owned()));
    request.stop.max_tokens = Some(8);
    request
}

fn in_turn() -> RouterConfig {
    RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() }
}

#[actix::test]
async fn refusals_cancellations_and_embeddings_have_receipts_too() {
    let full = RequestError::new(ErrorCode::Overloaded, "full");
    let all = [FakeScheduler::new("full", Refuse(full)), FakeScheduler::new("open", Hold)];
    let router = router_over(in_turn(), &all).await;
    let generation = router.generate(request("")).await.expect("open takes it");
    assert!(router.receipts(9).is_empty(), "it runs");
    drop(generation);
    let receipts = router.receipts(9);
    let chosen: Vec<_> = receipts[0].decisions.iter().map(|one| (one.scheduler.as_str(), one.error)).collect();
    assert_eq!(chosen, [("full", Some(ErrorCode::Overloaded)), ("open", None)]);
    assert_eq!(receipts[0].end, ReceiptEnd::Cancelled);

    router.embed(&"m".into(), vec![EmbeddingInput::Tokens(vec![1])]).await.expect("open takes it");
    assert_eq!(router.receipts(1)[0].end, ReceiptEnd::Embedded);

    let mut unknown = request("");
    unknown.model = "x".into();
    let id = unknown.id;
    let error = router.generate(unknown).await.err().expect("it is unknown");
    let receipt = router.receipt(id).expect("it has ended");
    assert_eq!((receipt.end, receipt.decisions.len()), (ReceiptEnd::Failed(error.code), 0));
}

#[actix::test]
async fn a_shadow_policy_is_recorded_and_decides_nothing() {
    let all: Vec<_> = (0..3).map(|index| FakeScheduler::new(&format!("s{index}"), Finish)).collect();
    all[0].snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 9_000);
    all[1].snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 9_000);
    let config = RouterConfig { shadow_policy: Some(RoutingPolicy::LeastLoaded), ..in_turn() };
    let router = router_over(config, &all).await;
    for _ in 0..6 {
        drop(router.generate(request("")).await.expect("a scheduler takes it"));
    }
    assert!(all.iter().all(|one| one.submitted() == 2), "the policy is round_robin");
    for receipt in router.receipts(9) {
        let shadow = receipt.decisions[0].shadow.as_ref().map(|id| id.as_str());
        assert_eq!(shadow, Some("s2"));
    }
}

#[actix::test]
async fn only_so_many_receipts_are_kept() {
    let config = RouterConfig { receipts_max: 3, ..RouterConfig::default() };
    let router = router_over(config, &[FakeScheduler::new("a", Finish)]).await;
    for _ in 0..5 {
        drop(router.generate(request("")).await.expect("a takes it"));
    }
    assert_eq!(router.receipts(9).len(), 3);
}
