//! Claims through the router, over real schedulers with the simulated engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Arbiter;
use futures::StreamExt;
use futures::future::join_all;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_protocol::{
    ClaimDrain, Deadline, ErrorCode, GenerationRequest, Prompt, RequestError, SamplingParams, SchedulerId,
    StopConditions, TokenEvent,
};
use hostler_router::{ClaimSelector, ClaimSpec, RoutedGeneration, Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// Nothing in these tests takes longer unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Short enough to wait for, and long enough that a busy machine does not miss heartbeats.
const SHORT_TTL: Duration = Duration::from_secs(2);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("timed out: {what}"))
}

struct Fixture {
    router: Router,
    schedulers: Vec<Arc<LocalScheduler>>,
}

impl Fixture {
    /// A router with `count` schedulers of model `m`, whose steps take a millisecond.
    async fn start(count: usize, config: RouterConfig) -> Self {
        let router = Router::start(config, &Arbiter::current());
        let mut schedulers = Vec::new();
        for n in 0..count {
            let cost = CostModel { decode_step_ms: 1.0, ..CostModel::FREE };
            let engine = SimulatedConfig { cost, ..SimulatedConfig::default() };
            let factory = SimulatedFactory::new("m", engine).expect("the settings are allowed");
            let scheduler =
                LocalScheduler::start(SchedulerConfig::new(format!("s{n}").as_str(), "m"), Arc::new(factory));
            router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
            schedulers.push(scheduler);
        }
        let fixture = Self { router, schedulers };
        for n in 0..count {
            fixture.wait_for_state(n, SchedulerState::Serving).await;
        }
        fixture
    }

    async fn wait_for(&self, n: usize, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.schedulers[n].snapshot();
        within("a snapshot", snapshot.wait_for(condition)).await.expect("the scheduler runs");
    }

    async fn wait_for_state(&self, n: usize, state: SchedulerState) {
        self.wait_for(n, |snapshot| snapshot.state == state).await;
    }
}

fn spec(scheduler: Option<&str>) -> ClaimSpec {
    let selector = ClaimSelector { scheduler: scheduler.map(SchedulerId::from), model: None };
    ClaimSpec::new(selector, "a test")
}

fn request(tokens: u32) -> GenerationRequest {
    GenerationRequest {
        stop: StopConditions { max_tokens: Some(tokens), ignore_eos: true, ..StopConditions::default() },
        ..GenerationRequest::new("m".into(), Prompt::Text("hello".to_owned()))
    }
}

/// The number of tokens of an answer, or its error.
async fn read(generation: Result<RoutedGeneration, RequestError>) -> Result<usize, RequestError> {
    let mut generation = generation?;
    let mut tokens = 0;
    while let Some(event) = generation.events.next().await {
        match event {
            TokenEvent::Token(_) => tokens += 1,
            TokenEvent::Finished(_) => return Ok(tokens),
            TokenEvent::Failed(error) => return Err(error),
            TokenEvent::Started(_) => {}
        }
    }
    panic!("a stream ended without a final event")
}

#[actix::test]
async fn while_one_scheduler_is_claimed_the_others_serve_and_after_the_release_it_serves_again() {
    let fixture = Fixture::start(2, RouterConfig::default()).await;
    let before = fixture.router.generate(request(50)).await;
    let lease = fixture.router.claim(spec(Some("s0"))).await.expect("it is free");
    within("the drain", lease.wait_until_claimed()).await.expect("the scheduler drains");
    assert_eq!(read(before).await, Ok(50), "running requests are finished");
    for _ in 0..5 {
        let generation = fixture.router.generate(request(3)).await.expect("the other scheduler serves");
        assert_eq!(generation.scheduler, "s1".into());
        assert_eq!(read(Ok(generation)).await, Ok(3));
    }
    let mine = GenerationRequest { claim: Some(lease.token()), ..request(3) };
    let mine = fixture.router.generate(mine).await.expect("the holder's request is served");
    assert_eq!(mine.scheduler, "s0".into());
    assert_eq!(read(Ok(mine)).await, Ok(3));
    assert_eq!(lease.release().await, Ok(true));
    fixture.wait_for_state(0, SchedulerState::Serving).await;
}

#[actix::test]
async fn simultaneous_claims_leave_min_serving() {
    let fixture = Fixture::start(4, RouterConfig::default()).await;
    for min_serving in [1, 2, 4] {
        let claim = || fixture.router.claim(ClaimSpec { min_serving, ..spec(None) });
        let claims = within("the claims", join_all((0..6).map(|_| claim()))).await;
        let granted = claims.iter().filter(|claim| claim.is_ok()).count();
        assert_eq!(granted, 4 - min_serving as usize);
        for error in claims.iter().filter_map(|claim| claim.as_ref().err()) {
            assert_eq!((error.code, error.param.as_deref()), (ErrorCode::Unavailable, Some("min_serving")));
        }
        drop(claims);
        for n in 0..4 {
            fixture.wait_for_state(n, SchedulerState::Serving).await;
        }
    }
}

#[actix::test]
async fn a_released_scheduler_can_be_claimed_again_at_once() {
    let fixture = Fixture::start(1, RouterConfig::default()).await;
    for round in 0..50 {
        let lease = fixture.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await;
        let lease = lease.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(lease.release().await, Ok(true));
    }
}

#[actix::test]
async fn heartbeats_keep_a_lease_and_dropping_it_releases_the_claim() {
    let fixture = Fixture::start(2, RouterConfig::default()).await;
    let lease = fixture.router.claim(ClaimSpec { ttl: SHORT_TTL, ..spec(Some("s0")) }).await.expect("it is free");
    let lost = tokio::time::timeout(SHORT_TTL * 2, lease.lost()).await;
    assert!(lost.is_err(), "it is kept alive: {lost:?}");
    drop(lease);
    fixture.wait_for_state(0, SchedulerState::Serving).await;
}

#[actix::test]
async fn a_claim_without_a_lease_is_held_by_its_token() {
    let fixture = Fixture::start(2, RouterConfig::default()).await;
    let claim = || fixture.router.claim(ClaimSpec { ttl: SHORT_TTL, ..spec(Some("s0")) });
    let token = claim().await.expect("it is free").hand_over();
    assert_eq!(fixture.router.heartbeat_claim(token).await, Ok(true));
    assert_eq!(fixture.router.release_claim(token).await, Ok(true));
    assert_eq!(fixture.router.release_claim(token).await, Ok(false), "it has ended");
    let forgotten = claim().await.expect("it is free again").hand_over();
    fixture.wait_for(0, |snapshot| snapshot.claim.as_ref().is_some_and(|claim| claim.token == forgotten)).await;
    fixture.wait_for_state(0, SchedulerState::Serving).await;
    assert_eq!(fixture.router.heartbeat_claim(forgotten).await, Ok(false), "it has expired");
}

#[actix::test]
async fn a_holder_is_told_when_its_claim_is_released_by_token() {
    let fixture = Fixture::start(2, RouterConfig::default()).await;
    let lease = fixture.router.claim(spec(Some("s0"))).await.expect("it is free");
    assert_eq!(fixture.router.release_claim(lease.token()).await, Ok(true));
    let error = within("the loss", lease.lost()).await;
    assert!(error.message.contains("s0"), "{}", error.message);
    assert!(within("the loss", lease.wait_until_claimed()).await.is_err());
}

#[actix::test]
async fn requests_wait_while_a_claim_keeps_their_model_from_being_served() {
    let fixture = Fixture::start(1, RouterConfig::default()).await;
    let lease = fixture.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    let waiting = join_all((0..20).map(|_| async { read(fixture.router.generate(request(3)).await).await }));
    let mut waiting = Box::pin(waiting);
    let claimed = async { lease.wait_until_claimed().await };
    tokio::select! {
        answers = &mut waiting => panic!("no scheduler is serving: {answers:?}"),
        claimed = within("the drain", claimed) => assert!(claimed.is_ok()),
    }
    // The holder's own requests are served.
    let mine = GenerationRequest { claim: Some(lease.token()), ..request(5) };
    tokio::select! {
        answers = &mut waiting => panic!("no scheduler is serving: {answers:?}"),
        mine = async { read(fixture.router.generate(mine).await).await } => assert_eq!(mine, Ok(5)),
    }
    drop(lease);
    for answer in within("the answers", waiting).await {
        assert_eq!(answer, Ok(3));
    }
}

#[actix::test]
async fn waiting_is_bounded_by_time_deadline_and_permits() {
    let config = RouterConfig { wait_max: Duration::from_millis(200), requests_max: 1, ..RouterConfig::default() };
    let fixture = Fixture::start(1, config).await;
    let _lease = fixture.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    let ask =
        |request| async { read(fixture.router.generate(request).await).await.expect_err("no scheduler is serving") };
    let late = ask(request(3)).await;
    assert_eq!(late.code, ErrorCode::Unavailable);
    assert!(late.retry_after.is_some());

    let soon = Deadline::after(Instant::now(), Duration::from_millis(50));
    let overdue = ask(GenerationRequest { deadline: soon, ..request(3) }).await;
    assert_eq!(overdue.code, ErrorCode::DeadlineExceeded);

    let (one, other) = tokio::join!(ask(request(3)), ask(request(3)));
    assert_eq!((one.code, other.code), (ErrorCode::Unavailable, ErrorCode::Overloaded), "there is one permit");
}

#[actix::test]
async fn a_shutdown_ends_the_waiting() {
    let fixture = Fixture::start(1, RouterConfig::default()).await;
    let lease = fixture.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    within("the drain", lease.wait_until_claimed()).await.expect("the scheduler drains");
    let ask = async { read(fixture.router.generate(request(3)).await).await };
    let stop = async {
        within("the end", fixture.router.drain()).await;
    };
    let (answer, ()) = tokio::join!(ask, stop);
    assert_eq!(answer.expect_err("no scheduler is serving").code, ErrorCode::Unavailable);
}

#[actix::test]
async fn the_drain_mode_reaches_the_scheduler() {
    let fixture = Fixture::start(1, RouterConfig::default()).await;
    let running = fixture.router.generate(request(1000)).await;
    let spec = ClaimSpec { min_serving: 0, drain: ClaimDrain::Fail, ..spec(None) };
    let lease = fixture.router.claim(spec).await.expect("it is free");
    assert_eq!(read(running).await.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    within("the drain", lease.wait_until_claimed()).await.expect("the scheduler drains");
}

#[actix::test]
async fn a_claim_yields_when_others_fail_and_its_scheduler_takes_the_waiting_requests() {
    let fixture = Fixture::start(2, RouterConfig::default()).await;
    let lease = fixture.router.claim(spec(Some("s0"))).await.expect("it is free");
    within("the drain", lease.wait_until_claimed()).await.expect("the scheduler drains");
    fixture.schedulers[1].stop().await;
    let answer = within("the answer", fixture.router.generate(request(3))).await.expect("the claim yields");
    assert_eq!(answer.scheduler, "s0".into());
    assert_eq!(read(Ok(answer)).await, Ok(3));
    let error = within("the loss", lease.lost()).await;
    assert!(lease.has_yielded());
    for part in ["s0", "yielded", "min_serving, which is 1"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
}

#[actix::test]
async fn forced_claims_and_those_that_need_no_others_do_not_yield() {
    let fixture = Fixture::start(3, RouterConfig::default()).await;
    let forced = ClaimSpec { min_serving: 3, force: true, ..spec(Some("s0")) };
    let forced = fixture.router.claim(forced).await.expect("it is forced");
    let alone = fixture.router.claim(ClaimSpec { min_serving: 0, ..spec(Some("s1")) }).await.expect("it is free");
    let normal = fixture.router.claim(spec(None)).await.err().expect("it would leave none");
    assert_eq!(normal.param.as_deref(), Some("min_serving"));
    fixture.schedulers[2].stop().await;
    // A claim that yields would do so in a tenth of a second.
    let lost = async {
        tokio::select! { _ = forced.lost() => "forced", _ = alone.lost() => "alone" }
    };
    let lost = tokio::time::timeout(Duration::from_secs(1), lost).await;
    assert!(lost.is_err(), "{lost:?}");
    assert!(!forced.has_yielded() && !alone.has_yielded());
}

#[actix::test]
async fn of_two_claims_only_the_later_one_yields_if_that_is_enough() {
    let fixture = Fixture::start(3, RouterConfig::default()).await;
    let earlier = fixture.router.claim(spec(Some("s0"))).await.expect("it is free");
    let later = fixture.router.claim(spec(Some("s1"))).await.expect("it is free");
    fixture.schedulers[2].stop().await;
    within("the loss", later.lost()).await;
    assert!(later.has_yielded());
    let lost = tokio::time::timeout(Duration::from_millis(500), earlier.lost()).await;
    assert!(lost.is_err(), "one scheduler serves: {lost:?}");
}

/// The text and the tokens of an answer that one stream gives completely.
async fn read_complete(mut generation: RoutedGeneration) -> (String, Vec<u32>) {
    let (mut text, mut tokens, mut starts) = (String::new(), Vec::new(), 0);
    while let Some(event) = generation.events.next().await {
        match event {
            TokenEvent::Started(_) => starts += 1,
            TokenEvent::Token(token) => {
                text += &token.text;
                tokens.push(token.id);
            }
            TokenEvent::Finished(finish) => {
                assert_eq!(starts, 1, "the client sees one answer");
                assert_eq!(finish.usage.completion_tokens as usize, tokens.len());
                return (text + &finish.text, tokens);
            }
            TokenEvent::Failed(error) => panic!("the answer was not migrated: {error}"),
        }
    }
    panic!("a stream ended without a final event")
}

/// A greedy request with a different answer for each number.
fn numbered(number: usize) -> GenerationRequest {
    let mut request = request(200);
    request.prompt = Prompt::Text(format!("question {number}"));
    request.sampling = SamplingParams::greedy();
    request
}

#[actix::test]
async fn answers_that_a_claim_evicts_are_resumed_elsewhere_unchanged() {
    // More than both schedulers run at once, so that some are evicted from the queue.
    const REQUESTS: usize = 24;
    let fixture = &Fixture::start(2, RouterConfig::default()).await;
    let answer = |number| async move {
        read_complete(fixture.router.generate(numbered(number)).await.expect("both serve")).await
    };
    let undisturbed = within("the answers", join_all((0..REQUESTS).map(answer))).await;
    let mut started = Vec::new();
    for number in 0..REQUESTS {
        started.push(fixture.router.generate(numbered(number)).await.expect("both serve"));
    }
    let steps = fixture.schedulers[0].snapshot().borrow().steps;
    fixture.wait_for(0, |now| now.steps >= steps + 10 && now.waiting_total() > 0).await;

    let lease = fixture.router.claim(ClaimSpec { drain: ClaimDrain::Evict, ..spec(Some("s0")) }).await;
    let lease = lease.expect("the other scheduler serves");
    // No client reads yet: slow clients do not delay the drain.
    within("the drain", lease.wait_until_claimed()).await.expect("the scheduler drains");
    let answers = within("the answers", join_all(started.into_iter().map(read_complete))).await;
    assert_eq!(answers, undisturbed);
    assert_eq!(lease.release().await, Ok(true));
    fixture.wait_for_state(0, SchedulerState::Serving).await;
    fixture.wait_for(1, |now| now.running == 0 && now.waiting_total() == 0).await;
}
