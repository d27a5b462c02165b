//! Claims at the router, over real schedulers and the simulated engine.

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

/// Nothing here takes longer, except when it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// So short that a test can wait for its end, and long enough that a busy machine
/// does not miss the heartbeats by chance.
const SHORT_TTL: Duration = Duration::from_secs(2);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

struct House {
    router: Router,
    schedulers: Vec<Arc<LocalScheduler>>,
}

impl House {
    /// A router with so many schedulers of model `m`, whose steps take a millisecond.
    async fn open(count: usize, config: RouterConfig) -> Self {
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
        let house = Self { router, schedulers };
        for n in 0..count {
            house.reaches(n, SchedulerState::Serving).await;
        }
        house
    }

    async fn shows(&self, n: usize, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.schedulers[n].snapshot();
        within("a state", snapshot.wait_for(condition)).await.expect("the scheduler lives");
    }

    async fn reaches(&self, n: usize, state: SchedulerState) {
        self.shows(n, |snapshot| snapshot.state == state).await;
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

/// The tokens of an answer, or why it is not complete.
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
    panic!("a stream ended without a word")
}

#[actix::test]
async fn while_one_is_claimed_the_others_serve_and_then_it_serves_again() {
    let house = House::open(2, RouterConfig::default()).await;
    let before = house.router.generate(request(50)).await;
    let lease = house.router.claim(spec(Some("s0"))).await.expect("it is free");
    within("the drain", lease.wait_until_claimed()).await.expect("it drains");
    assert_eq!(read(before).await, Ok(50), "what ran was finished");
    for _ in 0..5 {
        let generation = house.router.generate(request(3)).await.expect("the other serves");
        assert_eq!(generation.scheduler, "s1".into());
        assert_eq!(read(Ok(generation)).await, Ok(3));
    }
    let mine = GenerationRequest { claim: Some(lease.token()), ..request(3) };
    let mine = house.router.generate(mine).await.expect("the holder's");
    assert_eq!(mine.scheduler, "s0".into());
    assert_eq!(read(Ok(mine)).await, Ok(3));
    assert_eq!(lease.release().await, Ok(true));
    house.reaches(0, SchedulerState::Serving).await;
}

#[actix::test]
async fn claims_at_once_leave_as_many_as_must_serve() {
    let house = House::open(4, RouterConfig::default()).await;
    for min_serving in [1, 2, 4] {
        let claim = || house.router.claim(ClaimSpec { min_serving, ..spec(None) });
        let claims = within("the claims", join_all((0..6).map(|_| claim()))).await;
        let granted = claims.iter().filter(|claim| claim.is_ok()).count();
        assert_eq!(granted, 4 - min_serving as usize);
        for error in claims.iter().filter_map(|claim| claim.as_ref().err()) {
            assert_eq!((error.code, error.param.as_deref()), (ErrorCode::Unavailable, Some("min_serving")));
        }
        drop(claims);
        for n in 0..4 {
            house.reaches(n, SchedulerState::Serving).await;
        }
    }
}

#[actix::test]
async fn a_scheduler_that_was_given_back_can_be_claimed_at_once() {
    let house = House::open(1, RouterConfig::default()).await;
    for round in 0..50 {
        let lease = house.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await;
        let lease = lease.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(lease.release().await, Ok(true));
    }
}

#[actix::test]
async fn heartbeats_keep_a_lease_and_dropping_it_gives_it_back() {
    let house = House::open(2, RouterConfig::default()).await;
    let lease = house.router.claim(ClaimSpec { ttl: SHORT_TTL, ..spec(Some("s0")) }).await.expect("it is free");
    let lost = tokio::time::timeout(SHORT_TTL * 2, lease.lost()).await;
    assert!(lost.is_err(), "it is kept alive: {lost:?}");
    drop(lease);
    house.reaches(0, SchedulerState::Serving).await;
}

#[actix::test]
async fn a_claim_that_is_handed_over_lives_by_its_number() {
    let house = House::open(2, RouterConfig::default()).await;
    let claim = || house.router.claim(ClaimSpec { ttl: SHORT_TTL, ..spec(Some("s0")) });
    let token = claim().await.expect("it is free").hand_over();
    assert_eq!(house.router.heartbeat_claim(token).await, Ok(true));
    assert_eq!(house.router.release_claim(token).await, Ok(true));
    assert_eq!(house.router.release_claim(token).await, Ok(false), "it has ended");
    let forgotten = claim().await.expect("it is free again").hand_over();
    house.shows(0, |snapshot| snapshot.claim.as_ref().is_some_and(|claim| claim.token == forgotten)).await;
    house.reaches(0, SchedulerState::Serving).await;
    assert_eq!(house.router.heartbeat_claim(forgotten).await, Ok(false), "it has expired");
}

#[actix::test]
async fn a_holder_hears_that_the_claim_was_taken_from_it() {
    let house = House::open(2, RouterConfig::default()).await;
    let lease = house.router.claim(spec(Some("s0"))).await.expect("it is free");
    assert_eq!(house.router.release_claim(lease.token()).await, Ok(true));
    let error = within("the loss", lease.lost()).await;
    assert!(error.message.contains("s0"), "{}", error.message);
    assert!(within("the loss", lease.wait_until_claimed()).await.is_err());
}

#[actix::test]
async fn what_a_claim_keeps_from_being_served_waits_for_its_end() {
    let house = House::open(1, RouterConfig::default()).await;
    let lease = house.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    let waiting = join_all((0..20).map(|_| async { read(house.router.generate(request(3)).await).await }));
    let mut waiting = Box::pin(waiting);
    let claimed = async { lease.wait_until_claimed().await };
    tokio::select! {
        answers = &mut waiting => panic!("nobody serves: {answers:?}"),
        claimed = within("the drain", claimed) => assert!(claimed.is_ok()),
    }
    // The holder's own requests go on meanwhile.
    let mine = GenerationRequest { claim: Some(lease.token()), ..request(5) };
    tokio::select! {
        answers = &mut waiting => panic!("nobody serves: {answers:?}"),
        mine = async { read(house.router.generate(mine).await).await } => assert_eq!(mine, Ok(5)),
    }
    drop(lease);
    for answer in within("the answers", waiting).await {
        assert_eq!(answer, Ok(3));
    }
}

#[actix::test]
async fn waiting_has_a_bound_a_deadline_and_a_place() {
    let config = RouterConfig { wait_max: Duration::from_millis(200), requests_max: 1, ..RouterConfig::default() };
    let house = House::open(1, config).await;
    let _lease = house.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    let ask = |request| async { read(house.router.generate(request).await).await.expect_err("nobody serves") };
    let late = ask(request(3)).await;
    assert_eq!(late.code, ErrorCode::Unavailable);
    assert!(late.retry_after.is_some());

    let soon = Deadline::after(Instant::now(), Duration::from_millis(50));
    let overdue = ask(GenerationRequest { deadline: soon, ..request(3) }).await;
    assert_eq!(overdue.code, ErrorCode::DeadlineExceeded);

    let (one, other) = tokio::join!(ask(request(3)), ask(request(3)));
    assert_eq!((one.code, other.code), (ErrorCode::Unavailable, ErrorCode::Overloaded), "one place is all there is");
}

#[actix::test]
async fn a_router_that_shuts_down_lets_nobody_wait() {
    let house = House::open(1, RouterConfig::default()).await;
    let lease = house.router.claim(ClaimSpec { min_serving: 0, ..spec(None) }).await.expect("it is free");
    within("the drain", lease.wait_until_claimed()).await.expect("it drains");
    let ask = async { read(house.router.generate(request(3)).await).await };
    let stop = async {
        within("the end", house.router.drain()).await;
    };
    let (answer, ()) = tokio::join!(ask, stop);
    assert_eq!(answer.expect_err("nobody serves").code, ErrorCode::Unavailable);
}

#[actix::test]
async fn the_mode_of_the_drain_reaches_the_scheduler() {
    let house = House::open(1, RouterConfig::default()).await;
    let running = house.router.generate(request(1000)).await;
    let spec = ClaimSpec { min_serving: 0, drain: ClaimDrain::Fail, ..spec(None) };
    let lease = house.router.claim(spec).await.expect("it is free");
    assert_eq!(read(running).await.expect_err("it was told").code, ErrorCode::Cancelled);
    within("the drain", lease.wait_until_claimed()).await.expect("it drains");
}

/// The text and the tokens of a whole answer that came in one stream.
async fn whole(mut generation: RoutedGeneration) -> (String, Vec<u32>) {
    let (mut text, mut tokens, mut starts) = (String::new(), Vec::new(), 0);
    while let Some(event) = generation.events.next().await {
        match event {
            TokenEvent::Started(_) => starts += 1,
            TokenEvent::Token(token) => {
                text += &token.text;
                tokens.push(token.id);
            }
            TokenEvent::Finished(finish) => {
                assert_eq!(starts, 1, "the reader sees one answer");
                assert_eq!(finish.usage.completion_tokens as usize, tokens.len());
                return (text + &finish.text, tokens);
            }
            TokenEvent::Failed(error) => panic!("the answer was not continued: {error}"),
        }
    }
    panic!("a stream ended without a word")
}

/// Greedy, and another answer for each number.
fn numbered(number: usize) -> GenerationRequest {
    let mut request = request(200);
    request.prompt = Prompt::Text(format!("question {number}"));
    request.sampling = SamplingParams::greedy();
    request
}

#[actix::test]
async fn what_a_claim_evicts_goes_on_elsewhere_as_if_nothing_had_been() {
    // More than both run at once, so that some are evicted from the queue.
    const REQUESTS: usize = 24;
    let house = &House::open(2, RouterConfig::default()).await;
    let answer =
        |number| async move { whole(house.router.generate(numbered(number)).await.expect("both serve")).await };
    let undisturbed = within("the answers", join_all((0..REQUESTS).map(answer))).await;
    let mut begun = Vec::new();
    for number in 0..REQUESTS {
        begun.push(house.router.generate(numbered(number)).await.expect("both serve"));
    }
    let steps = house.schedulers[0].snapshot().borrow().steps;
    house.shows(0, |now| now.steps >= steps + 10 && now.waiting_total() > 0).await;

    let lease = house.router.claim(ClaimSpec { drain: ClaimDrain::Evict, ..spec(Some("s0")) }).await;
    let lease = lease.expect("the other one serves");
    // Nobody reads yet: it is free however slow its clients are.
    within("the drain", lease.wait_until_claimed()).await.expect("it drains");
    let answers = within("the answers", join_all(begun.into_iter().map(whole))).await;
    assert_eq!(answers, undisturbed);
    assert_eq!(lease.release().await, Ok(true));
    house.reaches(0, SchedulerState::Serving).await;
    house.shows(1, |now| now.running == 0 && now.waiting_total() == 0).await;
}
