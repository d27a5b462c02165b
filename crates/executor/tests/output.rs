//! The two ends of a sequence's output channel.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_executor::{EndReport, EndState, Sequence, SequenceObserver, TokenSink, TokenStream, token_channel};
use hostler_protocol::{ErrorCode, FinishReason, Token, TokenEvent};

/// A call of an observer.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Started,
    Token(u32),
    Ended(EndReport),
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Call>>>);

impl Log {
    fn add(&self, call: Call) {
        self.0.lock().expect("no test panics while it holds the log").push(call);
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().expect("no test panics while it holds the log"))
    }

    /// The report of the end, which must be the last call and the only one of its kind.
    fn end(&self) -> EndReport {
        let calls = self.take();
        let ends = calls.iter().filter(|call| matches!(call, Call::Ended(_))).count();
        assert_eq!(ends, 1, "{calls:?}");
        match calls.last() {
            Some(Call::Ended(report)) => *report,
            other => panic!("the last call is not the end: {other:?}"),
        }
    }
}

impl SequenceObserver for Log {
    fn started(&mut self, _queue: Duration) {
        self.add(Call::Started);
    }

    fn token(&mut self, index: u32, _gap: Duration) {
        self.add(Call::Token(index));
    }

    fn ended(&mut self, report: &EndReport) {
        self.add(Call::Ended(*report));
    }
}

fn channel(max_new_tokens: u32) -> (TokenSink, TokenStream, Log) {
    let log = Log::default();
    let sequence = Sequence::greedy(vec![1, 2, 3], max_new_tokens);
    let (sink, stream) = token_channel(&sequence, Some(Box::new(log.clone())));
    (sink, stream, log)
}

fn token(id: u32) -> Token {
    Token { id, text: format!(" {id}"), logprob: None }
}

#[test]
fn events_arrive_in_order_and_are_counted() {
    let (mut sink, mut stream, log) = channel(2);
    sink.started();
    sink.reused(2);
    sink.token(token(7));
    sink.token(token(8));
    sink.finish(FinishReason::Length, "!".into());

    assert!(matches!(stream.blocking_next_event(), Some(TokenEvent::Started(started)) if started.prompt_tokens == 3));
    assert!(matches!(stream.blocking_next_event(), Some(TokenEvent::Token(token)) if token.id == 7));
    assert!(matches!(stream.blocking_next_event(), Some(TokenEvent::Token(token)) if token.id == 8));
    let Some(TokenEvent::Finished(finish)) = stream.blocking_next_event() else { panic!("it must finish") };
    assert_eq!((finish.reason, finish.text.as_str()), (FinishReason::Length, "!"));
    assert_eq!((finish.usage.prompt_tokens, finish.usage.cached_tokens, finish.usage.completion_tokens), (3, 2, 2));
    assert_eq!(stream.blocking_next_event(), None);

    let calls = log.take();
    assert_eq!(calls[..3], [Call::Started, Call::Token(0), Call::Token(1)]);
    let Call::Ended(report) = calls[3] else { panic!("the end was not observed: {calls:?}") };
    assert_eq!((report.state, report.usage), (EndState::Finished(FinishReason::Length), finish.usage));
    assert_eq!((report.timings, report.started), (finish.timings, true));
    assert_eq!(calls.len(), 4);
}

#[test]
fn a_sink_dropped_before_its_end_is_an_engine_failure() {
    let (mut sink, mut stream, log) = channel(2);
    sink.started();
    drop(sink);
    assert!(matches!(stream.blocking_next_event(), Some(TokenEvent::Started(_))));
    assert!(
        matches!(stream.blocking_next_event(), Some(TokenEvent::Failed(error)) if error.code == ErrorCode::EngineFailed)
    );
    assert_eq!(stream.blocking_next_event(), None);
    assert_eq!(log.end().state, EndState::Failed(ErrorCode::EngineFailed));
}

#[test]
fn a_panic_of_the_engine_is_an_engine_failure() {
    let (sink, mut stream, log) = channel(2);
    let engine = std::thread::spawn(move || {
        let _sink = sink;
        panic!("the engine panics, as this test intends");
    });
    assert!(engine.join().is_err());
    assert!(
        matches!(stream.blocking_next_event(), Some(TokenEvent::Failed(error)) if error.code == ErrorCode::EngineFailed)
    );
    let report = log.end();
    assert_eq!((report.state, report.started), (EndState::Failed(ErrorCode::EngineFailed), false));
}

#[test]
fn a_dropped_stream_asks_the_engine_to_stop_and_the_end_is_still_observed() {
    let (mut sink, stream, log) = channel(2);
    sink.started();
    assert_eq!(sink.stop_requested(), None);
    drop(stream);
    assert_eq!(sink.stop_requested(), Some(ErrorCode::Cancelled));
    sink.token(token(7));
    sink.stop(ErrorCode::Cancelled);
    let report = log.end();
    assert_eq!((report.state, report.usage.completion_tokens), (EndState::Failed(ErrorCode::Cancelled), 1));
}

#[test]
fn a_cancel_handle_reports_its_reason_to_both_ends() {
    let (sink, stream, _) = channel(2);
    stream.cancel_handle().time_out();
    assert_eq!(sink.stop_requested(), Some(ErrorCode::DeadlineExceeded));
    assert_eq!(sink.cancel_handle().reason(), Some(ErrorCode::DeadlineExceeded));

    let (sink, stream, _) = channel(2);
    stream.cancel_handle().cancel();
    assert_eq!(sink.stop_requested(), Some(ErrorCode::Cancelled));
}

#[test]
fn a_reader_that_never_reads_loses_no_events() {
    let (mut sink, mut stream, log) = channel(1_000);
    sink.started();
    for id in 0..1_000 {
        sink.token(token(id));
        assert_eq!(sink.stop_requested(), None, "the channel was full after {id} tokens");
    }
    sink.finish(FinishReason::Length, String::new());
    assert_eq!(log.end().usage.completion_tokens, 1_000);

    let events = std::iter::from_fn(|| stream.blocking_next_event());
    assert_eq!(events.filter(|event| matches!(event, TokenEvent::Token(_))).count(), 1_000);
}

#[test]
fn an_engine_that_exceeds_max_new_tokens_is_stopped_and_the_end_still_arrives() {
    let (mut sink, mut stream, log) = channel(1);
    sink.started();
    for id in 0..3 {
        sink.token(token(id));
    }
    assert_eq!(sink.stop_requested(), Some(ErrorCode::Cancelled));
    sink.stop(ErrorCode::Cancelled);
    assert_eq!(log.end().usage.completion_tokens, 1);
    let events: Vec<_> = std::iter::from_fn(|| stream.blocking_next_event()).collect();
    assert!(matches!(events[..], [TokenEvent::Started(_), TokenEvent::Token(_), TokenEvent::Failed(_)]), "{events:?}");
}
