//! A sequence that nobody wants any more ends, and one that nobody reads does not.

use hostler_protocol::ErrorCode;

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};
use crate::{EndState, token_channel};

/// Tokens read before a sequence is interrupted.
const READ: u32 = 3;

/// Tokens that an engine may still produce once it is asked to stop: that of the
/// step under way, and that of one more.
const LATE_TOKENS_MAX: u32 = 2;

pub(super) fn dropped_stream(subject: &Subject) -> Result<(), Violation> {
    // Twice: the second time the freed slot is used again.
    for prompt in 0..2 {
        let (mut stream, watch) = subject.start_watched(&subject.long(prompt)?);
        subject.read_tokens(&mut stream, READ)?;
        let produced = READ + unread(&mut stream);
        drop(stream);
        let report = watch.ended()?;
        ensure!(report.state == EndState::Failed(ErrorCode::Cancelled), "it ended in {:?}", report.state);
        let late = report.usage.completion_tokens.saturating_sub(produced);
        ensure!(late <= LATE_TOKENS_MAX, "{late} tokens were generated after the stream was dropped");
    }
    subject.run(subject.greedy(0)?).map(drop)
}

/// Tokens that wait in a stream already.
fn unread(stream: &mut crate::TokenStream) -> u32 {
    use futures::FutureExt;
    let mut count = 0;
    while let Some(Some(_)) = stream.next_event().now_or_never() {
        count += 1;
    }
    count
}

pub(super) fn handle(subject: &Subject) -> Result<(), Violation> {
    let (mut stream, watch) = subject.start_watched(&subject.long(0)?);
    subject.read_tokens(&mut stream, READ)?;
    let produced = READ + unread(&mut stream);
    stream.cancel_handle().cancel();
    let report = watch.ended()?;
    let late = report.usage.completion_tokens.saturating_sub(produced);
    ensure!(late <= LATE_TOKENS_MAX, "{late} tokens were generated after the sequence was cancelled");
    fails_with(subject, stream, ErrorCode::Cancelled)
}

pub(super) fn deadline(subject: &Subject) -> Result<(), Violation> {
    let mut stream = subject.executor().generate(subject.long(0)?);
    subject.read_tokens(&mut stream, 1)?;
    stream.cancel_handle().time_out();
    fails_with(subject, stream, ErrorCode::DeadlineExceeded)
}

pub(super) fn before_start(subject: &Subject) -> Result<(), Violation> {
    let sequence = subject.long(0)?;
    let (sink, stream) = token_channel(&sequence, None);
    stream.cancel_handle().cancel();
    subject.executor().start(sequence, sink);
    fails_with(subject, stream, ErrorCode::Cancelled)
}

/// That the rest of a stream ends in this error, after few tokens.
fn fails_with(subject: &Subject, mut stream: crate::TokenStream, code: ErrorCode) -> Result<(), Violation> {
    let mut late = 0;
    loop {
        match subject.wait("the end of a cancelled sequence", stream.next_event())? {
            Some(hostler_protocol::TokenEvent::Failed(error)) => {
                ensure!(error.code == code, "it failed by {:?} instead of {code:?}", error.code);
                break;
            }
            Some(hostler_protocol::TokenEvent::Token(_)) => late += 1,
            Some(hostler_protocol::TokenEvent::Started(_)) => {}
            other => return Err(Violation(format!("instead of failing by {code:?} it ended in {other:?}"))),
        }
    }
    // What the handle asked for may have met tokens that were on their way.
    let bound = LATE_TOKENS_MAX + READ;
    ensure!(late <= bound, "{late} tokens came after it was asked to stop");
    let after = subject.wait("the end of the stream", stream.next_event())?;
    ensure!(after.is_none(), "an event came after the last one: {after:?}");
    Ok(())
}

pub(super) fn slow_reader(subject: &Subject) -> Result<(), Violation> {
    let sequence = subject.greedy(0)?;
    let alone = subject.run(sequence.clone())?;
    let (unread, watch) = subject.start_watched(&sequence);
    if subject.max_sequences() > 1 {
        let neighbour = subject.run(subject.greedy(1)?)?;
        ensure!(!neighbour.tokens.is_empty(), "its neighbour got nothing");
    }
    // It ends without a single event read, and nothing of it is lost.
    watch.ended()?;
    let ended = subject.collect(unread)?;
    let ids: Vec<_> = ended.tokens.iter().map(|token| token.id).collect();
    ensure!(ended.last.is_ok(), "it failed because nobody read it: {:?}", ended.last);
    ensure!(ids == alone.ids(), "tokens were lost because nobody read them: {} of {}", ids.len(), alone.ids().len());
    Ok(())
}
