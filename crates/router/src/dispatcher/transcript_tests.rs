//! One answer over several schedulers, and how a complete one ends.

use hostler_protocol::{FencingToken, Prompt, Started, Token};

use super::*;

const SEQUENCE_TOKENS_MAX: u32 = 100;

fn request(max_tokens: Option<u32>) -> GenerationRequest {
    let mut request = GenerationRequest::new("m".into(), Prompt::Tokens(vec![1, 2, 3]));
    request.stop.max_tokens = max_tokens;
    request
}

fn transcript(request: &GenerationRequest, now: Instant) -> Transcript {
    Transcript::new(request, 3, SEQUENCE_TOKENS_MAX, 2, now)
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
        stop_sequence: None,
        usage: Usage { prompt_tokens: 5, cached_tokens: 4, completion_tokens },
        timings: Timings { queue: Duration::from_secs(9), ..Timings::default() },
    })
}

fn started(prompt_tokens: u32) -> TokenEvent {
    TokenEvent::Started(Started { prompt_tokens })
}

#[test]
fn without_a_failure_every_event_is_forwarded_unchanged() {
    let now = Instant::now();
    let mut transcript = transcript(&request(Some(8)), now);
    for event in [started(3), token(7, "a"), finished(1)] {
        assert_eq!(transcript.record(event.clone(), now), Verdict::Forward(event));
    }
}

#[test]
fn usage_and_times_add_up_over_a_migration_and_the_start_is_sent_once() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut transcript = transcript(&request(Some(8)), start);
    transcript.record(started(3), at(10));
    transcript.record(token(7, "a"), at(30));
    transcript.record(token(8, "b"), at(40));
    assert!(matches!(transcript.record(failed(ErrorCode::EngineFailed), at(50)), Verdict::Migrate(_)));
    assert_eq!(transcript.tokens(), [7, 8]);
    assert_eq!(transcript.record(started(5), at(60)), Verdict::Skip);
    transcript.record(token(9, "c"), at(70));
    let Verdict::Forward(TokenEvent::Finished(finish)) = transcript.record(finished(1), at(100)) else {
        panic!("it finished")
    };
    assert_eq!(finish.usage, Usage { prompt_tokens: 3, cached_tokens: 3, completion_tokens: 3 });
    assert_eq!(finish.text, "!");
    let Timings { queue, prefill, decode } = finish.timings;
    assert_eq!([queue, prefill, decode].map(|time| time.as_millis()), [10, 20, 70]);
}

#[test]
fn a_request_that_fails_everywhere_is_not_migrated_through_the_whole_cluster() {
    let now = Instant::now();
    let mut transcript = transcript(&request(Some(8)), now);
    assert!(matches!(transcript.record(failed(ErrorCode::EngineFailed), now), Verdict::Migrate(_)));
    assert!(matches!(transcript.record(failed(ErrorCode::Unavailable), now), Verdict::Migrate(_)));
    let Verdict::Forward(TokenEvent::Failed(error)) = transcript.record(failed(ErrorCode::EngineFailed), now) else {
        panic!("two migrations are the maximum")
    };
    assert_eq!(error.code, ErrorCode::EngineFailed);
    assert!(error.message.contains("moved 2 times"), "{}", error.message);
}

#[test]
fn only_failures_of_the_scheduler_cause_a_migration() {
    let now = Instant::now();
    for code in ErrorCode::ALL {
        let migrates = matches!(transcript(&request(Some(8)), now).record(failed(code), now), Verdict::Migrate(_));
        assert_eq!(migrates, matches!(code, ErrorCode::EngineFailed | ErrorCode::Unavailable), "{code:?}");
    }
}

#[test]
fn a_request_under_a_claim_does_not_migrate() {
    let now = Instant::now();
    let mut request = request(Some(8));
    request.claim = Some(FencingToken(1));
    let event = failed(ErrorCode::EngineFailed);
    assert_eq!(transcript(&request, now).record(event.clone(), now), Verdict::Forward(event));
}

#[test]
fn a_failure_after_the_last_token_completes_the_answer() {
    let now = Instant::now();
    for (max_tokens, sequence_tokens_max) in [(Some(2), SEQUENCE_TOKENS_MAX), (None, 5), (Some(90), 5)] {
        let mut transcript = Transcript::new(&request(max_tokens), 3, sequence_tokens_max, 2, now);
        transcript.record(token(7, "a"), now);
        transcript.record(token(8, "é"), now);
        assert!(matches!(transcript.record(failed(ErrorCode::Unavailable), now), Verdict::Complete(_)));
        assert_eq!(transcript.complete("aé", &[], now).usage.completion_tokens, 2);
        assert_eq!(transcript.sent_bytes, 3);
    }
}

#[test]
fn no_migration_after_the_deadline() {
    let now = Instant::now();
    let mut request = request(Some(8));
    request.deadline = Deadline::after(now, Duration::from_secs(1));
    let later = now + Duration::from_secs(1);
    let Verdict::Forward(TokenEvent::Failed(error)) =
        transcript(&request, now).record(failed(ErrorCode::Unavailable), later)
    else {
        panic!("it is too late")
    };
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
}

fn stops(stops: &[&str]) -> Vec<String> {
    stops.iter().map(|&stop| stop.to_owned()).collect()
}

#[test]
fn text_that_was_held_back_is_sent_at_the_end() {
    assert_eq!(ending("one two EN", 8, &stops(&["END"])), (FinishReason::Length, "EN".to_owned(), None));
    assert_eq!(ending("one\u{fffd}", 3, &[]), (FinishReason::Length, "\u{fffd}".to_owned(), None));
    assert_eq!(ending("one", 3, &[]), (FinishReason::Length, String::new(), None));
}

#[test]
fn a_stop_sequence_completed_by_the_last_token_ends_the_answer() {
    let stopped = |text: &str, stop: &str| (FinishReason::Stop, text.to_owned(), Some(stop.to_owned()));
    assert_eq!(ending("one END", 4, &stops(&["END"])), stopped("", "END"));
    assert_eq!(ending("xabc", 1, &stops(&["c", "abc"])), stopped("", "abc"));
    assert_eq!(ending("one END", 2, &stops(&["END"])), stopped("e ", "END"));
}
