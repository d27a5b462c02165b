//! The router as the gateway uses it, over fake schedulers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::Arbiter;
use async_trait::async_trait;
use futures::StreamExt;
use futures::channel::mpsc;
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    Batching, Capabilities, ClaimRequest, Driving, EmbeddingInput, Embeddings, Engine, ErrorCode, FencingToken, Finish,
    FinishReason, GenerationRequest, ModelDescription, Prefill, Prompt, RequestError, RequestId, SchedulerId, Timings,
    TokenEvent, TokenId, Usage,
};
use hostler_router::{BudgetConfig, Policy, RoutedEmbeddings, Router, RouterConfig};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, SchedulerState, TokenizeInput};
use parking::Parking;
use tokio::sync::watch;

/// A scheduler that admits everything, or refuses everything with one error.
struct FakeScheduler {
    id: SchedulerId,
    snapshot: watch::Sender<SchedulerSnapshot>,
    refusal: Option<RequestError>,
    submitted: AtomicUsize,
    parking: Parking,
}

mod parking {
    //! Where admitted requests wait until a test ends them.

    use std::sync::Mutex;

    use futures::channel::mpsc::UnboundedSender;
    use hostler_protocol::TokenEvent;

    /// The sending ends of the generations that a scheduler has admitted.
    #[derive(Default)]
    pub(crate) struct Parking(Mutex<Vec<UnboundedSender<TokenEvent>>>);

    impl Parking {
        pub(crate) fn park(&self, sender: UnboundedSender<TokenEvent>) {
            self.0.lock().expect("no test panics with the lock").push(sender);
        }

        pub(crate) fn take_all(&self) -> Vec<UnboundedSender<TokenEvent>> {
            std::mem::take(&mut *self.0.lock().expect("no test panics with the lock"))
        }
    }
}

fn description() -> ModelDescription {
    ModelDescription {
        model: "m".into(),
        engine: Engine::Simulated,
        device: "none".to_owned(),
        weight_format: "none".to_owned(),
        weight_bytes: 0,
        context_length: 2048,
        kv_capacity_tokens: 16_384,
        vocabulary_size: 256,
        driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Blocking },
        capabilities: Capabilities::default(),
    }
}

fn snapshot(id: &str, state: SchedulerState) -> SchedulerSnapshot {
    SchedulerSnapshot {
        state,
        description: Some(Arc::new(description())),
        ..SchedulerSnapshot::starting(id.into(), "m".into(), 8)
    }
}

impl FakeScheduler {
    fn new(id: &str, refusal: Option<RequestError>) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            snapshot: watch::Sender::new(snapshot(id, SchedulerState::Serving)),
            refusal,
            submitted: AtomicUsize::new(0),
            parking: Parking::default(),
        })
    }

    fn submitted(&self) -> usize {
        self.submitted.load(Ordering::SeqCst)
    }

    /// Finishes all of its requests.
    fn finish_all(&self) {
        let finish = Finish {
            reason: FinishReason::Stop,
            text: String::new(),
            usage: Usage::default(),
            timings: Timings::default(),
        };
        for sender in self.parking.take_all() {
            // A reader that was dropped needs no end.
            let _ = sender.unbounded_send(TokenEvent::Finished(finish.clone()));
        }
    }
}

#[async_trait]
impl Scheduler for FakeScheduler {
    fn id(&self) -> &SchedulerId {
        &self.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    async fn submit(&self, _: GenerationRequest) -> Result<Generation, RequestError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let (sender, receiver) = mpsc::unbounded();
        self.parking.park(sender);
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens: 1, events: Box::pin(receiver) })
    }

    async fn tokenize(&self, _: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        Ok(vec![1, 2, 3])
    }

    async fn detokenize(&self, _: Vec<TokenId>) -> Result<String, RequestError> {
        Ok("text".to_owned())
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        Ok(tokens.iter().map(|_| b"piece".to_vec()).collect())
    }

    async fn embed(&self, inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(Embeddings { vectors: vec![vec![1.0]; inputs.len()], prompt_tokens: 1 }),
        }
    }

    async fn cancel(&self, _: RequestId) -> bool {
        true
    }

    async fn drain(&self) {
        self.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Draining);
    }

    async fn resume(&self) {
        self.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Serving);
    }

    async fn claim(&self, _: ClaimRequest) -> Result<FencingToken, RequestError> {
        Err(RequestError::new(ErrorCode::Unavailable, "a fake scheduler cannot be claimed"))
    }

    async fn heartbeat(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    async fn release(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        None
    }
}

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
    let (a, b) = (FakeScheduler::new("a", None), FakeScheduler::new("b", None));
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
    let (a, b) = (FakeScheduler::new("a", None), FakeScheduler::new("b", None));
    let config = RouterConfig { policy: Policy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&a), Arc::clone(&b)]).await;
    a.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 1_000_000);
    for _ in 0..6 {
        drop(router.generate(request()).await.expect("a scheduler takes it"));
    }
    assert_eq!((a.submitted(), b.submitted()), (3, 3));
}

#[actix::test]
async fn a_full_scheduler_is_skipped_and_an_invalid_request_is_not_retried() {
    let full = FakeScheduler::new("full", Some(overloaded()));
    let open = FakeScheduler::new("open", None);
    let router = router_over(RouterConfig::default(), &[Arc::clone(&full), Arc::clone(&open)]).await;
    for _ in 0..3 {
        let generation = router.generate(request()).await.expect("open takes it");
        assert_eq!(generation.scheduler.as_str(), "open");
    }
    let strict = FakeScheduler::new("strict", Some(RequestError::invalid("top_p", "no")));
    let router = router_over(RouterConfig::default(), &[Arc::clone(&strict), Arc::clone(&open)]).await;
    let error = router.generate(request()).await.err().expect("strict refuses it");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(open.submitted(), 3, "no other scheduler was asked");
}

#[actix::test]
async fn when_all_are_full_the_client_gets_retry_after() {
    let full: Vec<_> = (0..5).map(|index| FakeScheduler::new(&format!("full-{index}"), Some(overloaded()))).collect();
    let router = router_over(RouterConfig::default(), &full).await;
    let error = router.generate(request()).await.err().expect("all are full");
    assert_eq!(error, overloaded());
    let asked: usize = full.iter().map(|scheduler| scheduler.submitted()).sum();
    assert_eq!(asked, 3, "attempts are bounded");
}

async fn embed(router: &Router) -> Result<RoutedEmbeddings, RequestError> {
    router.embed(&"m".into(), vec![EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2])]).await
}

#[actix::test]
async fn embeddings_follow_the_policy() {
    let (a, b) = (FakeScheduler::new("a", None), FakeScheduler::new("b", None));
    let config = RouterConfig { policy: Policy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&a), Arc::clone(&b)]).await;
    a.snapshot.send_modify(|snapshot| snapshot.outstanding_tokens = 1_000_000);
    for _ in 0..6 {
        assert_eq!(embed(&router).await.expect("a scheduler takes it").embeddings.vectors.len(), 2);
    }
    assert_eq!((a.submitted(), b.submitted()), (3, 3));
}

#[actix::test]
async fn embeddings_are_retried_within_the_budget() {
    let full = FakeScheduler::new("full", Some(overloaded()));
    let open = FakeScheduler::new("open", None);
    let retry_budget = BudgetConfig { share_percent: 0, floor_per_second: 0 };
    let config = RouterConfig { policy: Policy::RoundRobin, retry_budget, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&full), Arc::clone(&open)]).await;
    for _ in 0..100 {
        assert_eq!(embed(&router).await.expect("open takes it").scheduler.as_str(), "open");
    }
    assert_eq!(embed(&router).await.err(), Some(overloaded()), "a full budget holds 100 retries");
    assert_eq!(open.submitted(), 100);
}

#[actix::test]
async fn embeddings_open_the_breaker_and_respect_it() {
    let broken = FakeScheduler::new("broken", Some(RequestError::new(ErrorCode::EngineFailed, "a test")));
    let well = FakeScheduler::new("well", None);
    let config = RouterConfig { policy: Policy::RoundRobin, ..RouterConfig::default() };
    let router = router_over(config, &[Arc::clone(&broken), Arc::clone(&well)]).await;
    for _ in 0..12 {
        assert_eq!(embed(&router).await.expect("well takes it").scheduler.as_str(), "well");
    }
    assert_eq!(broken.submitted(), 5, "five consecutive failures open the breaker");
}

#[actix::test]
async fn the_router_itself_is_bounded() {
    let config = RouterConfig { requests_max: 2, ..RouterConfig::default() };
    let router = router_over(config, &[FakeScheduler::new("a", None)]).await;
    let held = (router.generate(request()).await, router.generate(request()).await);
    let error = router.generate(request()).await.err().expect("two is the maximum");
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert!(error.retry_after.is_some());
    drop(held);
    assert!(router.generate(request()).await.is_ok(), "permits are released");
}

#[actix::test]
async fn a_request_can_be_cancelled_only_while_it_is_in_flight() {
    let scheduler = FakeScheduler::new("a", None);
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
    let scheduler = FakeScheduler::new("a", None);
    router.add(Arc::clone(&scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    assert!(router.is_ready());
    scheduler.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Failed);
    assert!(!router.is_ready());
    scheduler.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Serving);
    router.drain().await;
    assert!(!router.is_ready());
    let error = router.generate(request()).await.err().expect("the router is shutting down");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn a_loading_model_is_unavailable_and_an_unknown_one_is_not_found() {
    let scheduler = FakeScheduler::new("a", None);
    scheduler.snapshot.send_modify(|snapshot| {
        snapshot.description = None;
        snapshot.state = SchedulerState::Starting;
    });
    let router = router_over(RouterConfig::default(), &[scheduler]).await;
    let input = || TokenizeInput::Text { text: "t".to_owned(), add_special: true };
    let loading = router.tokenize(&"m".into(), input()).await.expect_err("not loaded");
    assert_eq!(loading.code, ErrorCode::Unavailable);
    let unknown = router.tokenize(&"x".into(), input()).await.expect_err("unknown");
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert!(router.remove("a".into()).await.expect("the router runs"));
    assert!(router.models().is_empty());
}
