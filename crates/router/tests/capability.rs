//! Requests go to the schedulers that can serve them, over real schedulers of one model.

use std::sync::Arc;

use actix::Arbiter;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_protocol::{ErrorCode, ErrorReason, GenerationRequest, Prompt};
use hostler_router::{Router, RouterConfig, RoutingPolicy};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerState};
use hostler_testkit::{FakeBehaviour, FakeScheduler};

async fn scheduler(id: &str, context_length: u32) -> Arc<LocalScheduler> {
    let config = SimulatedConfig { context_length, ..SimulatedConfig::echo() };
    let factory = SimulatedFactory::new("m", config).expect("a valid configuration");
    let scheduler = LocalScheduler::start(SchedulerConfig::new(id, "m"), Arc::new(factory));
    let mut snapshot = scheduler.snapshot();
    snapshot.wait_for(|now| now.state == SchedulerState::Serving).await.expect("it loads");
    scheduler
}

/// A router over schedulers whose contexts have these lengths, named by them.
async fn router(contexts: &[u32]) -> (Router, Vec<Arc<LocalScheduler>>) {
    let config = RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() };
    let router = Router::start(config, &Arbiter::current());
    let mut schedulers = Vec::new();
    for &context in contexts {
        let scheduler = scheduler(&format!("s{context}"), context).await;
        router.add(Arc::clone(&scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
        schedulers.push(scheduler);
    }
    (router, schedulers)
}

fn request(prompt: Prompt, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), prompt);
    request.stop.max_tokens = Some(max_tokens);
    request
}

#[actix::test]
async fn a_long_request_goes_to_the_scheduler_that_has_room() {
    let (router, schedulers) = router(&[64, 256, 1024]).await;
    // Of tokens, the length is known before a scheduler is asked; of text, the refusal says it.
    for prompt in [Prompt::Tokens(vec![b'a'.into(); 500]), Prompt::Text("a".repeat(500))] {
        for _ in 0..4 {
            let generation = router.generate(request(prompt.clone(), 10)).await.expect("one has room");
            assert_eq!(generation.scheduler.as_str(), "s1024");
        }
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}

#[actix::test]
async fn a_refusal_says_what_the_most_capable_scheduler_could_serve() {
    let (router, schedulers) = router(&[64, 1024, 256]).await;
    for prompt in [Prompt::Tokens(vec![b'a'.into(); 2000]), Prompt::Text("a".repeat(2000))] {
        for _ in 0..4 {
            let error = router.generate(request(prompt.clone(), 10)).await.err().expect("none has room");
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
            assert_eq!(error.reason, Some(ErrorReason::ContextLengthExceeded));
            assert!(error.message.contains("1024"), "{error}");
        }
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}

#[actix::test]
async fn while_the_only_capable_scheduler_is_away_the_request_is_not_refused_as_invalid() {
    let small = FakeScheduler::new("small", FakeBehaviour::Hold);
    let large = FakeScheduler::new("large", FakeBehaviour::Hold);
    large.snapshot.send_modify(|snapshot| {
        let mut description = hostler_testkit::model_description("m");
        description.capabilities.constraints = true;
        snapshot.description = Some(Arc::new(description));
    });
    let config = RouterConfig { outage_wait: std::time::Duration::ZERO, ..RouterConfig::default() };
    let router = Router::start(config, &Arbiter::current());
    for scheduler in [&small, &large] {
        router.add(Arc::clone(scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    }
    let constrained = || {
        let mut request = request(Prompt::Tokens(vec![1]), 1);
        request.constraint = Some(hostler_protocol::Constraint::Regex("a".to_owned()));
        request
    };
    for _ in 0..3 {
        let generation = router.generate(constrained()).await.expect("one can");
        assert_eq!(generation.scheduler.as_str(), "large");
    }
    large.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Failed);
    let error = router.generate(constrained()).await.err().expect("it is away");
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    assert!(error.message.contains("large is failed"), "{error}");
    assert!(error.message.contains("small cannot serve this request"), "{error}");
    assert_eq!(small.submitted(), 0);
}
