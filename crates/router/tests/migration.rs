//! Answers whose scheduler fails in the middle: the client must not see a difference.

mod support;

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use futures::StreamExt;
use hostler_protocol::{
    Deadline, ErrorCode, FencingToken, FinishReason, GenerationRequest, Prompt, RequestError, SamplingParams,
    TokenEvent,
};
use hostler_router::{Reason, Router, RouterConfig, RoutingPolicy};
use hostler_scheduler::Scheduler;
use support::{Answer, Faulty, answer, read};

/// A greedy request whose answer contains characters of two tokens (one for each byte).
fn request(max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Text("a horse".to_owned()));
    request.stop.max_tokens = Some(max_tokens);
    request.sampling = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    request
}

fn config() -> RouterConfig {
    // In turn, so that it is known which scheduler gets a request first.
    RouterConfig { policy: RoutingPolicy::RoundRobin, ..RouterConfig::default() }
}

async fn router(config: RouterConfig, schedulers: &[Arc<Faulty>]) -> Router {
    let router = Router::start(config, &Arbiter::current());
    for scheduler in schedulers {
        router.add(Arc::clone(scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    }
    router
}

/// Two schedulers, of which the first one's next stream fails after `cut` events.
async fn cut_after(cut: usize, code: ErrorCode) -> (Router, [Arc<Faulty>; 2]) {
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    both[0].fail_after(cut, code);
    (router(config(), &both).await, both)
}

async fn undisturbed(request: GenerationRequest) -> Answer {
    let scheduler = Faulty::start("alone").await;
    let router = router(config(), std::slice::from_ref(&scheduler)).await;
    let answer = answer(&router, request).await;
    scheduler.stop().await;
    answer
}

/// Cuts the answer to `request` after every event, and compares it with the undisturbed one.
async fn assert_same_wherever_cut(request: impl Fn() -> GenerationRequest) -> Answer {
    let whole = undisturbed(request()).await;
    assert!(whole.end.is_ok(), "{:?}", whole.end);
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    // One event (the start) precedes the first token, and the cut may follow the last one.
    for cut in 0..=whole.tokens.len() + 1 {
        let code = if cut % 2 == 0 { ErrorCode::EngineFailed } else { ErrorCode::Unavailable };
        let router = router(config(), &both).await;
        both[0].fail_after(cut, code);
        let moved = answer(&router, request()).await;
        assert_eq!(moved.tokens, whole.tokens, "cut after {cut} events");
        assert_eq!(moved.text, whole.text, "cut after {cut} events");
        assert_eq!(moved.starts, 1, "cut after {cut} events");
        let (moved, whole) = (moved.finish(), whole.finish());
        assert_eq!(moved.reason, whole.reason, "cut after {cut} events");
        assert_eq!(moved.usage.prompt_tokens, whole.usage.prompt_tokens, "cut after {cut} events");
        assert_eq!(moved.usage.completion_tokens, whole.usage.completion_tokens, "cut after {cut} events");
    }
    for scheduler in both {
        scheduler.stop().await;
    }
    whole
}

#[actix::test]
async fn an_answer_is_the_same_wherever_it_is_cut_even_within_a_character() {
    let whole = assert_same_wherever_cut(|| request(60)).await;
    assert!(whole.text.contains('é'), "it must contain a character of two tokens: {:?}", whole.text);
    assert_eq!(whole.finish().reason, FinishReason::Length);
}

#[actix::test]
async fn an_answer_that_ends_within_a_character_is_the_same_wherever_it_is_cut() {
    let long = undisturbed(request(60)).await;
    let split = long.tokens.iter().position(|&token| token == 0xc3).expect("a character of two tokens");
    let max_tokens = u32::try_from(split + 1).expect("few tokens");
    let whole = assert_same_wherever_cut(|| request(max_tokens)).await;
    assert!(whole.text.ends_with('\u{fffd}'), "{:?}", whole.text);
}

#[actix::test]
async fn a_stop_sequence_across_the_cut_is_found_and_an_incomplete_one_is_sent() {
    let text = undisturbed(request(60)).await.text;
    let crossing = text.find('é').expect("a character of two tokens");
    let end = text[crossing..].char_indices().nth(9).map_or(text.len(), |(index, _)| crossing + index);
    let begin = text[..crossing].char_indices().nth_back(5).map_or(0, |(index, _)| index);
    // Several tokens, including a split character.
    let stop = text[begin..end].to_owned();
    let stopping = assert_same_wherever_cut(|| {
        let mut request = request(60);
        request.stop.sequences = vec![stop.clone()];
        request
    })
    .await;
    assert_eq!(stopping.finish().reason, FinishReason::Stop);
    assert_eq!(stopping.text, text[..begin]);

    let incomplete = format!("{stop}#");
    let passing = assert_same_wherever_cut(|| {
        let mut request = request(60);
        request.stop.sequences = vec![incomplete.clone()];
        request
    })
    .await;
    assert_eq!(passing.text, text);
}

#[actix::test]
async fn a_stop_sequence_completed_by_the_last_token_ends_the_answer_with_stop() {
    let whole = undisturbed(request(20)).await;
    let stop: String = whole.text.chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
    assert_same_wherever_cut(|| {
        let mut request = request(20);
        request.stop.sequences = vec![stop.clone()];
        request
    })
    .await;
}

#[actix::test]
async fn seeded_sampling_continues_with_the_same_random_numbers() {
    assert_same_wherever_cut(|| {
        let mut request = request(40);
        request.sampling = SamplingParams { temperature: 1.3, seed: Some(17), ..SamplingParams::default() };
        request.sampling.presence_penalty = 0.7;
        request
    })
    .await;
}

#[actix::test]
async fn an_answer_migrates_at_most_moves_max_times() {
    let whole = undisturbed(request(30)).await;
    let three = [Faulty::start("a").await, Faulty::start("b").await, Faulty::start("c").await];
    three[0].fail_after(5, ErrorCode::EngineFailed);
    three[1].fail_after(7, ErrorCode::EngineFailed);
    let twice = answer(&router(config(), &three).await, request(30)).await;
    assert_eq!((&twice.tokens, &twice.text), (&whole.tokens, &whole.text));

    three[0].fail_after(5, ErrorCode::EngineFailed);
    three[1].fail_after(7, ErrorCode::EngineFailed);
    let bounded = answer(&router(RouterConfig { moves_max: 1, ..config() }, &three).await, request(30)).await;
    let error = bounded.end.expect_err("one migration is the maximum");
    assert_eq!(error.code, ErrorCode::EngineFailed);
    assert!(error.message.contains("moved 1 times"), "{}", error.message);
    for scheduler in three {
        scheduler.stop().await;
    }
}

#[actix::test]
async fn a_request_on_which_two_schedulers_failed_is_refused_for_a_while() {
    let both = [Faulty::start("a").await, Faulty::start("b").await];
    let router = router(RouterConfig { moves_max: 1, ..config() }, &both).await;
    for scheduler in &both {
        scheduler.fail_after(3, ErrorCode::EngineFailed);
    }
    assert!(answer(&router, request(30)).await.end.is_err(), "both fail");
    let submitted = both[0].submitted() + both[1].submitted();
    let error = router.generate(request(30)).await.err().expect("its content is refused");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("same content") && error.retry_after.is_some(), "{}", error.message);
    assert_eq!(both[0].submitted() + both[1].submitted(), submitted, "no scheduler is asked");
    assert!(answer(&router, request(31)).await.end.is_ok(), "other requests are served");
}

#[actix::test]
async fn when_no_scheduler_can_continue_the_client_gets_the_error() {
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    both[0].fail_after(4, ErrorCode::EngineFailed);
    let router = router(RouterConfig { move_wait: Duration::ZERO, ..config() }, &both).await;
    let mut generation = router.generate(request(30)).await.expect("the first scheduler takes it");
    both[1].refuse(true);
    let mut events = Vec::new();
    while let Some(event) = generation.events.next().await {
        events.push(event);
    }
    let Some(TokenEvent::Failed(error)) = events.last() else { panic!("it must fail: {events:?}") };
    // The code of the refusal: a client may send the request again.
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert!(error.message.contains("no other scheduler could continue"), "{}", error.message);
    assert_eq!(events.len(), 5, "three tokens after the start, and the end");
}

#[actix::test]
async fn an_answer_that_lost_its_scheduler_ends_with_a_code_that_can_be_retried() {
    // Lost while the other scheduler is full.
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    let full = router(RouterConfig { move_wait: Duration::ZERO, ..config() }, &both).await;
    both[0].fail_after(4, ErrorCode::Unavailable);
    let generation = full.generate(request(30)).await.expect("the first scheduler takes it");
    both[1].refuse(true);
    let error = read(generation).await.end.expect_err("no scheduler takes over");
    assert_eq!(error.code, ErrorCode::Overloaded);
    assert_eq!(error.retry_after, Some(support::FULL_RETRY_AFTER));
    assert!(error.message.contains("cut") && error.message.contains("full"), "both reasons: {}", error.message);

    // Lost without another scheduler.
    let alone = router(config(), &both[..1]).await;
    both[0].fail_after(4, ErrorCode::Unavailable);
    let error = answer(&alone, request(30)).await.end.expect_err("there is no other scheduler");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn a_migration_waits_while_the_other_scheduler_is_full() {
    let whole = undisturbed(request(30)).await;
    let (router, both) = cut_after(6, ErrorCode::Unavailable).await;
    both[1].refuse(true);
    let generation = router.generate(request(30)).await.expect("the first scheduler takes it");
    // Later searches include the scheduler that failed.
    both[0].refuse(true);
    let reading = actix::spawn(read(generation));
    both[1].until_refused(2).await;
    assert!(!reading.is_finished());
    both[1].refuse(false);
    let answer = reading.await.expect("the reader does not panic");
    assert_eq!((answer.tokens, answer.text), (whole.tokens, whole.text));
}

#[actix::test]
async fn a_search_ends_at_once_when_the_answer_can_never_fit_elsewhere() {
    let (router, both) = cut_after(4, ErrorCode::Unavailable).await;
    let generation = router.generate(request(30)).await.expect("the first scheduler takes it");
    both[1].refuse_with(RequestError::invalid("messages", "the context is too small"));
    let error = read(generation).await.end.expect_err("it fits nowhere");
    assert_eq!(error.code, ErrorCode::Unavailable, "the client's request was valid");
    assert!(error.message.contains("the context is too small"), "{}", error.message);
    both[1].until_refused(1).await;
    assert_eq!(both[1].refused(), 1, "it was asked once");
}

#[actix::test]
async fn searches_after_the_first_are_paid_from_the_retry_budget() {
    const ANSWERS: usize = 40;
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    let move_wait = Duration::from_secs(2);
    let config = RouterConfig { retry_share_percent: 0, retries_per_second: 0, move_wait, ..RouterConfig::default() };
    let router = router(config, &both).await;
    both[1].refuse(true);
    let mut answers = Vec::new();
    for _ in 0..ANSWERS {
        both[0].fail_after(2, ErrorCode::Unavailable);
        answers.push(router.generate(request(30)).await.expect("a scheduler takes it"));
    }
    both[0].refuse(true);
    let before = both[0].refused() + both[1].refused();
    let answers = futures::future::join_all(answers.into_iter().map(read)).await;
    assert!(answers.iter().all(|answer| answer.end.is_err()), "no scheduler takes them over");
    let offers = both[0].refused() + both[1].refused() - before;
    // Each may make a first offer; everything else comes out of the 100 saved retries.
    assert!((ANSWERS..=ANSWERS + 100).contains(&offers), "{offers} offers");
}

#[actix::test]
async fn a_migrating_answer_can_be_cancelled() {
    let (router, both) = cut_after(6, ErrorCode::Unavailable).await;
    both[1].refuse(true);
    let request = request(30);
    let id = request.id;
    let generation = router.generate(request).await.expect("the first scheduler takes it");
    both[0].refuse(true);
    let reading = actix::spawn(read(generation));
    both[1].until_refused(1).await;
    assert!(router.cancel(id).await);
    let answer = reading.await.expect("the reader does not panic");
    assert_eq!(answer.end.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    assert!(!router.cancel(id).await, "it has ended");
}

#[actix::test]
async fn only_failures_of_the_scheduler_migrate_and_never_under_a_claim() {
    let (router, both) = cut_after(6, ErrorCode::EngineFailed).await;
    // A cancellation is no failure of the scheduler.
    both[0].fail_after(6, ErrorCode::Cancelled);
    let cancelled = answer(&router, request(30)).await;
    assert_eq!(cancelled.end.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    assert_eq!(both[1].submitted(), 0);

    // It is the second scheduler's turn, then the first's again.
    assert!(answer(&router, request(3)).await.end.is_ok());
    both[0].fail_after(6, ErrorCode::EngineFailed);
    let mut late = request(30);
    late.deadline = Deadline::after(std::time::Instant::now(), Duration::from_secs(3600));
    assert!(answer(&router, late).await.end.is_ok(), "there is time");

    let mut claimed = request(30);
    claimed.claim = Some(FencingToken(1));
    let error = router.generate(claimed).await.err().expect("no scheduler is claimed");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn consecutive_failures_open_the_breaker_and_the_explanation_says_so() {
    let (router, both) = cut_after(0, ErrorCode::EngineFailed).await;
    for _ in 0..12 {
        both[0].fail_after(0, ErrorCode::EngineFailed);
        assert!(answer(&router, request(2)).await.end.is_ok(), "the other scheduler resumes it");
    }
    assert_eq!(both[0].submitted(), 5, "five consecutive failures open the breaker");
    let explanation = router.explain(&request(2)).await.expect("the model is known");
    assert_eq!(explanation.chosen.as_ref().map(|id| id.as_str()), Some("second"));
    let first = explanation.schedulers.iter().find(|one| one.id.as_str() == "first").expect("it is listed");
    assert_eq!((first.obstacle, first.breaker), (Some("breaker"), hostler_router::BreakerState::Open));
}

#[actix::test]
async fn claims_do_not_open_the_breaker_however_old_the_snapshot() {
    // Its error says that it is claimed while its snapshot still shows it serving, as may
    // happen across processes.
    let (router, both) = cut_after(3, ErrorCode::Unavailable).await;
    for _ in 0..24 {
        both[0].end_after(3, RequestError::new(ErrorCode::Unavailable, "claimed").expected());
        assert!(answer(&router, request(9)).await.end.is_ok(), "the other scheduler resumes it");
    }
    let explanation = router.explain(&request(2)).await.expect("the model is known");
    assert!(explanation.schedulers.iter().all(|one| one.breaker == hostler_router::BreakerState::Closed));
    assert!(both[0].submitted() >= 12, "it keeps its turns: {}", both[0].submitted());
}

#[actix::test]
async fn the_receipt_of_an_answer_that_moves_has_both_decisions_and_one_outcome() {
    let (router, both) = cut_after(4, ErrorCode::EngineFailed).await;
    let request = request(8);
    let id = request.id;
    let answer = answer(&router, request).await;
    let receipt = router.receipt(id).expect("it has ended");
    let chosen: Vec<_> = receipt.decisions.iter().map(|one| (one.scheduler.as_str(), one.error)).collect();
    assert_eq!(chosen, [("first", Some(ErrorCode::EngineFailed)), ("second", None)]);
    assert_eq!(receipt.end.as_str(), answer.finish().reason.as_str());
    assert_eq!(receipt.outcome.completion_tokens as usize, answer.tokens.len());
    assert_eq!(receipt.outcome.prompt_tokens, answer.finish().usage.prompt_tokens);
    assert_eq!(receipt.outcome.moves, 1);
    assert!(receipt.outcome.queue_ms <= receipt.outcome.ttft_ms && receipt.outcome.ttft_ms.is_some());
    let first = &receipt.decisions[0];
    assert_eq!((first.reason, first.able, first.candidates.len()), (Reason::InTurn, 2, 2));
    assert_eq!(first.candidates[0].scheduler, first.scheduler, "the chosen one is first");
    for scheduler in both {
        scheduler.stop().await;
    }
}
