//! One account over several schedulers.

use hostler_protocol::{FencingToken, FinishReason, Prompt, Started, Token};

use super::*;

const ROOM: u32 = 100;

fn request(max_tokens: Option<u32>) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Tokens(vec![1, 2, 3]));
    request.stop.max_tokens = max_tokens;
    request
}

fn ledger(request: &GenerationRequest, now: Instant) -> Ledger {
    Ledger::new(request, 3, ROOM, 2, now)
}

fn token(id: TokenId, text: &str) -> TokenEvent {
    TokenEvent::Token(Token { id, text: text.to_owned(), logprob: None })
}

fn failed(code: ErrorCode) -> TokenEvent {
    TokenEvent::Failed(RequestError::new(code, "gone"))
}

fn finished(completion_tokens: u32) -> TokenEvent {
    TokenEvent::Finished(Finish {
        reason: FinishReason::Stop,
        text: "!".to_owned(),
        usage: Usage { prompt_tokens: 5, cached_tokens: 4, completion_tokens },
        timings: Timings { queue: Duration::from_secs(9), ..Timings::default() },
    })
}

fn started(prompt_tokens: u32) -> TokenEvent {
    TokenEvent::Started(Started { prompt_tokens })
}

#[test]
fn without_a_failure_everything_passes_as_it_is() {
    let now = Instant::now();
    let mut ledger = ledger(&request(Some(8)), now);
    for event in [started(3), token(7, "a"), finished(1)] {
        assert_eq!(ledger.take(event.clone(), now), Verdict::Pass(event));
    }
}

#[test]
fn usage_and_times_add_up_over_a_move_and_the_start_is_told_once() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut ledger = ledger(&request(Some(8)), start);
    ledger.take(started(3), at(10));
    ledger.take(token(7, "a"), at(30));
    ledger.take(token(8, "b"), at(40));
    assert!(matches!(ledger.take(failed(ErrorCode::EngineFailed), at(50)), Verdict::Move(_)));
    assert_eq!(ledger.tokens(), [7, 8]);
    assert_eq!(ledger.take(started(5), at(60)), Verdict::Swallow);
    ledger.take(token(9, "c"), at(70));
    let Verdict::Pass(TokenEvent::Finished(finish)) = ledger.take(finished(1), at(100)) else { panic!("it finished") };
    assert_eq!(finish.usage, Usage { prompt_tokens: 3, cached_tokens: 3, completion_tokens: 3 });
    assert_eq!(finish.text, "!");
    let Timings { queue, prefill, decode } = finish.timings;
    assert_eq!([queue, prefill, decode].map(|time| time.as_millis()), [10, 20, 70]);
}

#[test]
fn a_request_that_fails_everywhere_is_not_carried_through_the_whole_cluster() {
    let now = Instant::now();
    let mut ledger = ledger(&request(Some(8)), now);
    assert!(matches!(ledger.take(failed(ErrorCode::EngineFailed), now), Verdict::Move(_)));
    assert!(matches!(ledger.take(failed(ErrorCode::Unavailable), now), Verdict::Move(_)));
    let Verdict::Pass(TokenEvent::Failed(error)) = ledger.take(failed(ErrorCode::EngineFailed), now) else {
        panic!("two moves are the most")
    };
    assert_eq!(error.code, ErrorCode::EngineFailed);
    assert!(error.message.contains("moved 2 times"), "{}", error.message);
}

#[test]
fn only_what_another_scheduler_may_do_better_is_moved() {
    let now = Instant::now();
    for code in ErrorCode::ALL {
        let moved = matches!(ledger(&request(Some(8)), now).take(failed(code), now), Verdict::Move(_));
        assert_eq!(moved, matches!(code, ErrorCode::EngineFailed | ErrorCode::Unavailable), "{code:?}");
    }
}

#[test]
fn a_request_under_a_claim_stays_where_the_claim_is() {
    let now = Instant::now();
    let mut request = request(Some(8));
    request.claim = Some(FencingToken(1));
    let event = failed(ErrorCode::EngineFailed);
    assert_eq!(ledger(&request, now).take(event.clone(), now), Verdict::Pass(event));
}

#[test]
fn after_the_last_token_nothing_is_left_to_move() {
    let now = Instant::now();
    for (max_tokens, room) in [(Some(2), ROOM), (None, 5), (Some(90), 5)] {
        let mut ledger = Ledger::new(&request(max_tokens), 3, room, 2, now);
        ledger.take(token(7, "a"), now);
        ledger.take(token(8, "é"), now);
        assert!(matches!(ledger.take(failed(ErrorCode::Unavailable), now), Verdict::Complete(_)));
        assert_eq!(ledger.complete(now).0.completion_tokens, 2);
        assert_eq!(ledger.shown_bytes(), 3);
    }
}

#[test]
fn after_the_deadline_nobody_is_asked_any_more() {
    let now = Instant::now();
    let mut request = request(Some(8));
    request.deadline = Deadline::after(now, Duration::from_secs(1));
    let later = now + Duration::from_secs(1);
    let Verdict::Pass(TokenEvent::Failed(error)) = ledger(&request, now).take(failed(ErrorCode::Unavailable), later)
    else {
        panic!("it is too late")
    };
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
}
