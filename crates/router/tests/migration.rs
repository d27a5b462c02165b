//! Answers whose scheduler fails in the middle: their reader must not be able to tell.

mod support;

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use futures::StreamExt;
use hostler_protocol::{
    Deadline, ErrorCode, FencingToken, FinishReason, GenerationRequest, Prompt, RequestError, SamplingParams,
    TokenEvent,
};
use hostler_router::{MigrationConfig, Policy, Router, RouterConfig};
use hostler_scheduler::Scheduler;
use support::{Answer, Faulty, answer, read};

/// Greedy, over a prompt whose answer contains characters of two bytes, each a token.
fn request(max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Text("a horse".to_owned()));
    request.stop.max_tokens = Some(max_tokens);
    request.sampling = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    request
}

fn config() -> RouterConfig {
    // In turn, so that it is known who gets a request first.
    RouterConfig { policy: Policy::RoundRobin, ..RouterConfig::default() }
}

async fn router(config: RouterConfig, schedulers: &[Arc<Faulty>]) -> Router {
    let router = Router::start(config, &Arbiter::current());
    for scheduler in schedulers {
        router.add(Arc::clone(scheduler) as Arc<dyn Scheduler>).await.expect("the router runs");
    }
    router
}

/// Two schedulers; the first one's streams fail after `cut` events.
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

/// Cuts the answer to `request` at every place; each time the whole is the same.
async fn same_wherever_it_is_cut(request: impl Fn() -> GenerationRequest) -> Answer {
    let whole = undisturbed(request()).await;
    assert!(whole.end.is_ok(), "{:?}", whole.end);
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    // One event before the first token (the start), and the cut may be right after the last.
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
    let whole = same_wherever_it_is_cut(|| request(60)).await;
    assert!(whole.text.contains('é'), "it must hold a character of two tokens: {:?}", whole.text);
    assert_eq!(whole.finish().reason, FinishReason::Length);
}

#[actix::test]
async fn an_answer_that_ends_within_a_character_is_the_same_wherever_it_is_cut() {
    let long = undisturbed(request(60)).await;
    let split = long.tokens.iter().position(|&token| token == 0xc3).expect("a character of two tokens");
    let max_tokens = u32::try_from(split + 1).expect("few tokens");
    let whole = same_wherever_it_is_cut(|| request(max_tokens)).await;
    assert!(whole.text.ends_with('\u{fffd}'), "{:?}", whole.text);
}

#[actix::test]
async fn a_stop_sequence_that_spans_the_cut_is_found_and_one_that_only_begins_is_shown() {
    let text = undisturbed(request(60)).await.text;
    let crossing = text.find('é').expect("a character of two tokens");
    let end = text[crossing..].char_indices().nth(9).map_or(text.len(), |(index, _)| crossing + index);
    let begin = text[..crossing].char_indices().nth_back(5).map_or(0, |(index, _)| index);
    // Over several tokens, with a split character in it.
    let stop = text[begin..end].to_owned();
    let stopping = same_wherever_it_is_cut(|| {
        let mut request = request(60);
        request.stop.sequences = vec![stop.clone()];
        request
    })
    .await;
    assert_eq!(stopping.finish().reason, FinishReason::Stop);
    assert_eq!(stopping.text, text[..begin]);

    let only_begun = format!("{stop}#");
    let passing = same_wherever_it_is_cut(|| {
        let mut request = request(60);
        request.stop.sequences = vec![only_begun.clone()];
        request
    })
    .await;
    assert_eq!(passing.text, text);
}

#[actix::test]
async fn a_stop_sequence_that_the_very_last_token_completes_ends_the_answer_with_stop() {
    let whole = undisturbed(request(20)).await;
    let stop: String = whole.text.chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
    same_wherever_it_is_cut(|| {
        let mut request = request(20);
        request.stop.sequences = vec![stop.clone()];
        request
    })
    .await;
}

#[actix::test]
async fn seeded_sampling_goes_on_with_the_numbers_of_the_undisturbed_run() {
    same_wherever_it_is_cut(|| {
        let mut request = request(40);
        request.sampling = SamplingParams { temperature: 1.3, seed: Some(17), ..SamplingParams::default() };
        request.sampling.presence_penalty = 0.7;
        request
    })
    .await;
}

#[actix::test]
async fn every_scheduler_that_fails_is_left_up_to_the_most_moves() {
    let whole = undisturbed(request(30)).await;
    let three = [Faulty::start("a").await, Faulty::start("b").await, Faulty::start("c").await];
    three[0].fail_after(5, ErrorCode::EngineFailed);
    three[1].fail_after(7, ErrorCode::EngineFailed);
    let twice = answer(&router(config(), &three).await, request(30)).await;
    assert_eq!((&twice.tokens, &twice.text), (&whole.tokens, &whole.text));

    let migration = MigrationConfig { moves_max: 1, ..MigrationConfig::default() };
    three[0].fail_after(5, ErrorCode::EngineFailed);
    three[1].fail_after(7, ErrorCode::EngineFailed);
    let bounded = answer(&router(RouterConfig { migration, ..config() }, &three).await, request(30)).await;
    let error = bounded.end.expect_err("one move is the most");
    assert_eq!(error.code, ErrorCode::EngineFailed);
    assert!(error.message.contains("moved 1 times"), "{}", error.message);
    for scheduler in three {
        scheduler.stop().await;
    }
}

#[actix::test]
async fn where_nobody_can_continue_the_reader_is_told_so() {
    let migration = MigrationConfig { wait: Duration::ZERO, ..MigrationConfig::default() };
    let both = [Faulty::start("first").await, Faulty::start("second").await];
    both[0].fail_after(4, ErrorCode::EngineFailed);
    let router = router(RouterConfig { migration, ..config() }, &both).await;
    let mut generation = router.generate(request(30)).await.expect("the first one takes it");
    both[1].refuse(true);
    let mut events = Vec::new();
    while let Some(event) = generation.events.next().await {
        events.push(event);
    }
    let Some(TokenEvent::Failed(error)) = events.last() else { panic!("it must fail: {events:?}") };
    assert_eq!(error.code, ErrorCode::EngineFailed);
    assert!(error.message.contains("no other scheduler could continue"), "{}", error.message);
    assert_eq!(events.len(), 5, "three tokens after the start, and the end");
}

#[actix::test]
async fn an_answer_waits_for_a_place_elsewhere() {
    let whole = undisturbed(request(30)).await;
    let (router, both) = cut_after(6, ErrorCode::Unavailable).await;
    both[1].refuse(true);
    let generation = router.generate(request(30)).await.expect("the first one takes it");
    // The one that failed may have it again, once it takes requests.
    both[0].refuse(true);
    let reading = actix::spawn(read(generation));
    both[1].until_refused(2).await;
    assert!(!reading.is_finished());
    both[1].refuse(false);
    let answer = reading.await.expect("reading goes well");
    assert_eq!((answer.tokens, answer.text), (whole.tokens, whole.text));
}

#[actix::test]
async fn an_answer_on_its_way_can_be_cancelled_and_left() {
    let (router, both) = cut_after(6, ErrorCode::Unavailable).await;
    both[1].refuse(true);
    let request = request(30);
    let id = request.id;
    let generation = router.generate(request).await.expect("the first one takes it");
    both[0].refuse(true);
    let reading = actix::spawn(read(generation));
    both[1].until_refused(1).await;
    assert!(router.cancel(id).await);
    let answer = reading.await.expect("reading goes well");
    assert_eq!(answer.end.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    assert!(!router.cancel(id).await, "it is over");
}

#[actix::test]
async fn what_must_not_move_does_not() {
    let (router, both) = cut_after(6, ErrorCode::EngineFailed).await;
    // Only the engine's own failures move an answer.
    both[0].fail_after(6, ErrorCode::Cancelled);
    let cancelled = answer(&router, request(30)).await;
    assert_eq!(cancelled.end.expect_err("it was cancelled").code, ErrorCode::Cancelled);
    assert_eq!(both[1].submitted(), 0);

    // It is the second one's turn; then the first's again.
    assert!(answer(&router, request(3)).await.end.is_ok());
    both[0].fail_after(6, ErrorCode::EngineFailed);
    let mut late = request(30);
    late.deadline = Deadline::after(std::time::Instant::now(), Duration::from_secs(3600));
    assert!(answer(&router, late).await.end.is_ok(), "there is time");

    let mut claimed = request(30);
    claimed.claim = Some(FencingToken(1));
    let error = router.generate(claimed).await.err().expect("nobody is claimed");
    assert_eq!(error.code, ErrorCode::Unavailable);
}

#[actix::test]
async fn one_that_fails_again_and_again_is_left_alone_and_explained_so() {
    let (router, both) = cut_after(0, ErrorCode::EngineFailed).await;
    for _ in 0..12 {
        both[0].fail_after(0, ErrorCode::EngineFailed);
        assert!(answer(&router, request(2)).await.end.is_ok(), "the other one takes over");
    }
    assert_eq!(both[0].submitted(), 5, "five failures in a row are enough");
    let explanation = router.explain(&request(2)).await.expect("the model is known");
    assert_eq!(explanation.chosen.as_ref().map(|id| id.as_str()), Some("second"));
    let first = explanation.schedulers.iter().find(|one| one.id.as_str() == "first").expect("it is listed");
    assert_eq!((first.obstacle, first.breaker), (Some("breaker"), hostler_router::BreakerState::Open));
}

#[actix::test]
async fn one_that_is_claimed_again_and_again_is_not_left_alone_however_old_its_snapshot() {
    // It says that it is claimed, and still shows that it serves, as one in another process may.
    let (router, both) = cut_after(3, ErrorCode::Unavailable).await;
    for _ in 0..24 {
        both[0].end_after(3, RequestError::new(ErrorCode::Unavailable, "claimed").expected());
        assert!(answer(&router, request(9)).await.end.is_ok(), "the other one continues it");
    }
    let explanation = router.explain(&request(2)).await.expect("the model is known");
    assert!(explanation.schedulers.iter().all(|one| one.breaker == hostler_router::BreakerState::Closed));
    assert!(both[0].submitted() >= 12, "it has its turns: {}", both[0].submitted());
}
