//! A sequence that nobody wants any more ends, and one that nobody reads does not.

use hostler_protocol::ErrorCode;

use crate::contract::report::ensure;
use crate::contract::subject::Watch;
use crate::contract::{Subject, Violation};
use crate::{EndState, TokenStream, token_channel};

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
        drop(stream);
        ends_soon(&watch, ErrorCode::Cancelled)?;
    }
    subject.run(subject.greedy(0)?).map(drop)
}

pub(super) fn handle(subject: &Subject) -> Result<(), Violation> {
    let (mut stream, watch) = subject.start_watched(&subject.long(0)?);
    subject.read_tokens(&mut stream, READ)?;
    stream.cancel_handle().cancel();
    ends_soon(&watch, ErrorCode::Cancelled)?;
    fails_with(subject, stream, ErrorCode::Cancelled)
}

pub(super) fn deadline(subject: &Subject) -> Result<(), Violation> {
    let (mut stream, watch) = subject.start_watched(&subject.long(0)?);
    subject.read_tokens(&mut stream, READ)?;
    stream.cancel_handle().time_out();
    ends_soon(&watch, ErrorCode::DeadlineExceeded)?;
    fails_with(subject, stream, ErrorCode::DeadlineExceeded)
}

pub(super) fn before_start(subject: &Subject) -> Result<(), Violation> {
    let sequence = subject.long(0)?;
    let (sink, stream) = token_channel(&sequence, None);
    stream.cancel_handle().cancel();
    subject.executor().start(sequence, sink);
    let ended = subject.collect(stream)?;
    let tokens = ended.tokens.len();
    ensure!(tokens <= LATE_TOKENS_MAX as usize, "{tokens} tokens were generated for nobody");
    let code = ended.last.as_ref().map_err(|error| error.code);
    ensure!(code == Err(ErrorCode::Cancelled), "it ended in {:?}", ended.last);
    Ok(())
}

/// That a sequence, interrupted just now, ends for that reason and not late.
fn ends_soon(watch: &Watch, code: ErrorCode) -> Result<(), Violation> {
    let produced = watch.tokens();
    let report = watch.ended()?;
    ensure!(report.state == EndState::Failed(code), "it ended in {:?} instead of {code:?}", report.state);
    let late = report.usage.completion_tokens - produced;
    ensure!(late <= LATE_TOKENS_MAX, "{late} tokens were generated after it was asked to stop");
    Ok(())
}

/// That the rest of a stream ends in this error.
fn fails_with(subject: &Subject, stream: TokenStream, code: ErrorCode) -> Result<(), Violation> {
    let rest = subject.collect_rest(stream)?;
    ensure!(rest.as_ref().is_err_and(|error| error.code == code), "its client was told {rest:?} instead of {code:?}");
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
